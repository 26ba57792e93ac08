"""What the arguments of commands mean that take a run and a text."""

import sys

from charrnn.cli.console import say
from charrnn.errors import CharRNNError


def split_run(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the run (or None for the newest) and the texts: the first argument is a run unless it is a text."""
    from pathlib import Path

    from charrnn.runs.folder import find_run

    if not arguments:
        return None, []
    first, *rest = arguments
    if first.endswith(".safetensors"):
        return first, rest
    if Path(first).is_file() or first == "-":
        return None, arguments
    try:
        find_run(first)
    except CharRNNError:
        # A folder of texts is no run; a name that is neither is more likely a run's, if a text follows it.
        if Path(first).exists() or not rest:
            return None, arguments
        raise
    return first, rest


def run_and_lines(arguments: list[str], command: str) -> tuple[str | None, str]:
    """Return the run, None for the newest, and the one text whose lines a command reads, stdin by default."""
    from pathlib import Path

    run, texts = split_run(arguments)
    if len(texts) > 1:
        raise CharRNNError(
            f"Two texts were named, {texts[0]} and {texts[1]}.", hint=f"Join them: cat A B | charrnn {command}"
        )
    if texts and texts[0] != "-" and not Path(texts[0]).exists():
        raise CharRNNError(f"There is neither a run nor a file {texts[0]!r}.", hint="charrnn runs lists the runs.")
    source = texts[0] if texts else "-"
    if source == "-" and sys.stdin.isatty():
        say("Reading lines from the terminal; Ctrl-D ends them.")
    return run, source
