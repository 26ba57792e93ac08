"""Prints the lowest version that a pyproject.toml allows of each dependency, as constraints for pip; run by make."""

import re
import sys
import tomllib
from pathlib import Path

# Those that need no GPU, and are not for developers alone.
EXTRAS = ("jax", "plot", "probe", "tune", "zstd")


def lowest(pyproject: str) -> list[str]:
    """Return a line such as `numpy==2.0` for each dependency, and for each of the extras'."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    return [_pinned(one) for one in [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]]


def _pinned(requirement: str) -> str:
    found = re.fullmatch(r"([\w-]+)(?:\[[\w-]+\])?>=([\d.]+)(?:,.*)?", requirement)
    if not found:
        raise ValueError(f"{requirement!r} names no lowest version; write it as name>=version.")
    return f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print(*lowest(Path(sys.argv[1]).read_text("utf-8")), sep="\n")
