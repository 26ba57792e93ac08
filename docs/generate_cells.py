"""Write the table and the equations of docs/cells.md from charrnn/cells/, between its two marks."""

import inspect
import sys
from pathlib import Path

from charrnn.cells import CELLS, Cell

PAGE = Path(__file__).parent / "cells.md"
BEGIN, END = "<!-- begin: written by make docs -->", "<!-- end -->"


def section(cell: Cell) -> str:
    """Return what the page says of one cell."""
    first, *rest = (" ".join(part.split()) for part in inspect.cleandoc(cell.step.__doc__ or "").split("\n\n"))
    text, _, note = " ".join(rest).partition(". (")
    if "=" in text:
        equations = text.rstrip(".").replace("; ", "\n")
        text = f"{first}\n\n```text\n{equations}\n```" + (f"\n\n({note}" if note else "")
    else:
        text = " ".join([first, *rest])
    matrices = ", ".join(f"{name} (n, {'' if blocks == 1 else blocks}n)" for name, blocks in cell.matrices.items())
    vectors = f"; vectors {', '.join(cell.vectors)}" if cell.vectors else ""
    forget = ", the bias of f starts at 1" if any(cell.bias) else ""
    start = ", U starts as the identity" if cell.identity else ""
    return (
        f"### {cell.name}\n\n{text}\n\nWith n units: blocks of x {', '.join(cell.blocks)}; recurrent matrices "
        f"{matrices or 'none'}{vectors}; state {', '.join(cell.state_fields)}{forget}{start}.\n"
    )


def page(text: str) -> str:
    """Return the page with what lies between the marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n" + "\n".join(section(cell) for cell in CELLS.values()) + f"\n{END}{after}"


if __name__ == "__main__":
    written = page(PAGE.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(written != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(written, encoding="utf-8")
