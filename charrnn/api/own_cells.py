"""Cells that users define: Python files that add to the table of cells, and the checks of these files."""

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from charrnn.cells import CELLS, Cell
from charrnn.config import CELLS_VARIABLE
from charrnn.errors import CharRNNError
from charrnn.inference.plan import check

_HINT = "docs/cells.md shows how a file adds a cell."

# In the order in which they were loaded: a later one may use cells of an earlier one.
_loaded: dict[Path, None] = {}


def load_cells(files: Iterable[str]) -> None:
    """Run Python files that add cells to `CELLS`, first the files that the environment names; run each only once.

    Raise CharRNNError, with the line, for a file that cannot be run, adds no cell or uses the name of another cell,
    and for a cell that cannot be computed.
    """
    for name in [*filter(None, os.environ.get(CELLS_VARIABLE, "").split(os.pathsep)), *files]:
        path = Path(name).resolve()
        if path not in _loaded:
            before = dict(CELLS)
            try:
                _run(path, name)
                _check(path, name, before)
            except CharRNNError:
                CELLS.clear()
                CELLS.update(before)
                raise
            _loaded[path] = None


def loaded_files() -> list[str]:
    """Return the paths of the files that were loaded, for another process that needs the same cells."""
    return [str(path) for path in _loaded]


def _run(path: Path, name: str) -> None:
    """Run a file as a separate module."""
    module = ModuleType(f"charrnn_cells_{path.stem}")
    module.__file__ = str(path)
    # Code that looks up its own module, as a dataclass does, must find it.
    sys.modules[module.__name__] = module
    try:
        exec(_compiled(path), module.__dict__)
    except OSError as error:
        if error.filename != str(path):
            raise _failed(path, name, error) from error
        raise CharRNNError(
            f"The file of cells {name} cannot be read: {error.strerror}.", f"Check `cells` and {CELLS_VARIABLE}."
        ) from None
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise CharRNNError(f"{name}{line}: this is not valid Python: {error.msg}.", _HINT) from None
    except (Exception, SystemExit) as error:
        raise _failed(path, name, error) from error


def _compiled(path: Path) -> CodeType:
    try:
        return compile(path.read_bytes(), str(path), "exec")
    except ValueError as error:
        # Before Python 3.11.4, null bytes were no SyntaxError.
        raise SyntaxError(str(error)) from error


def _check(path: Path, name: str, before: dict[str, Cell]) -> None:
    """Raise CharRNNError unless a file has added valid cells under new names."""
    for taken in before:
        if CELLS.get(taken) is not before[taken]:
            raise CharRNNError(f"{name} uses the name {taken!r}, which another cell has.", "Choose another name.")
    added = {key: cell for key, cell in CELLS.items() if key not in before}
    if not added:
        raise CharRNNError(f"{name} adds no cell to CELLS.", _HINT)
    for key, cell in added.items():
        if not isinstance(cell, Cell) or cell.name != key:
            raise CharRNNError(f"{name}: CELLS[{key!r}] is not a Cell with this name.", _HINT)
        if not str(cell.paper).split()[-1:] or not str(cell.paper).split()[-1].isdecimal():
            raise CharRNNError(
                f"{name}: the paper of {key} is {cell.paper!r}; it must end in a year.", "For example 'Nobody 2026'."
            )
        try:
            check(cell)
        except CharRNNError as error:
            cause = error.__cause__ or error
            raise CharRNNError(f"{name}{_line(path, cause)}: {error.message}", error.hint) from cause


def _failed(path: Path, name: str, error: BaseException) -> CharRNNError:
    return CharRNNError(f"{name}{_line(path, error)}: {type(error).__name__}: {error}.", "Correct the file of cells.")


def _line(path: Path, error: BaseException) -> str:
    """Return the line of a file that raised an error, such as ", line 7"; "" if the error is from elsewhere."""
    lines: list[Any] = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
