"""Names of options that are understood beside today's, and shown nowhere: older ones, and those of other programs."""

from collections.abc import Callable, Iterable

# An alias is understood by every command that has the option. Of all names an underscore may be written for a hyphen.
ALIASES = {
    "batch-size": "batch",
    "corpus-changed-ok": "allow-changed-text",
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
    """Return a function from the name of an option, without dashes, to that which a command with `options` has for it.

    A name that leads to none of them comes back as it is.
    """
    names = {option.removeprefix("--") for option in options if option.startswith("--")}

    def name_today(name: str) -> str:
        spelled = name.replace("_", "-")
        today = spelled if spelled in names else ALIASES.get(spelled)
        return today if today in names and name not in names else name

    return name_today


def near(name: str, options: Iterable[str]) -> str | None:
    """Return a hint, "Did you mean --temp?", with the option that is nearest to `name`, itself or by an alias."""
    # Imported here: nearly no command has a mistyped option.
    from difflib import get_close_matches

    known = {option: option for option in options}
    known |= {f"--{alias}": f"--{today}" for alias, today in ALIASES.items() if f"--{today}" in known}
    alike = get_close_matches(name.lower(), known, n=1)
    return f"Did you mean {known[alike[0]]}?" if alike else None
