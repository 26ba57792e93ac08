"""Other names of options, which are accepted but not shown: older names, and the names in other programs."""

from collections.abc import Callable, Iterable

# Every command that has the option accepts the alias. In all names, an underscore may replace a hyphen.
ALIASES = {
    "batch-size": "batch",
    "corpus-changed-ok": "allow-changed-text",
    "lines": "one-per-line",
    "file": "whole",
    "hidden-size": "units",
    "learning-rate": "lr",
    "num-layers": "layers",
    "out": "checkpoints",
    "rnn-size": "units",
    "seq-length": "seq",
    "temperature": "temp",
}


def todays(options: Iterable[str]) -> Callable[[str], str]:
    """Return a function from a typed name of an option, without dashes, to its name today in a command with `options`.

    A name that means none of these options is returned unchanged.
    """
    names = {option.removeprefix("--") for option in options if option.startswith("--")}

    def name_today(name: str) -> str:
        spelled = name.replace("_", "-")
        today = spelled if spelled in names else ALIASES.get(spelled)
        return today if today in names and name not in names else name

    return name_today


def near(name: str, options: Iterable[str]) -> str | None:
    """Return a hint, "Did you mean --temp?", with the option whose name or alias is most similar to `name`.

    Names that begin with `name` are the most similar ones, the shortest of them first. None if no name is similar.
    """
    # Imported here, because it is needed only for a mistyped option.
    from difflib import get_close_matches

    # Without dashes, which every name has: they would make short names similar.
    known = {option.removeprefix("--"): option for option in options}
    known |= {alias: f"--{today}" for alias, today in ALIASES.items() if today in known}
    typed = name.lower().removeprefix("--").replace("_", "-")
    begun = sorted((word for word in known if len(typed) > 1 and word.startswith(typed)), key=len)
    alike = begun or get_close_matches(typed, known, n=1)
    return f"Did you mean {known[alike[0]]}?" if alike else None
