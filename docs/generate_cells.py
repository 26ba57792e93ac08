"""Write the cells and stacks of docs/cells.md, between its two marks, from charrnn/cells/ and network/stacks.py.

The equations come from the docstrings, which `charrnn cells` prints too; here they are set as mathematics.
"""

import inspect
import re
import sys
from fractions import Fraction
from pathlib import Path

from charrnn.cells import CELLS, Cell
from charrnn.network.stacks import EQUATIONS

PAGE = Path(__file__).parent / "cells.md"
BEGIN, END = "<!-- begin: written by make docs -->", "<!-- end -->"
STACK_PICTURES = {"grid": "two LSTMs", "gated-feedback": "two layers of rnn"}
FUNCTIONS = {"sigma": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "relu": r"\mathrm{relu}"}


def section(cell: Cell) -> str:
    """Return the section of the page about one cell."""
    first, equations, note = parts(cell.step.__doc__ or "")
    text = f"{first}\n\n{mathematics(equations)}\n" + (f"\n({note})\n" if note else "")
    picture = f"![{cell.name}: what a step computes](cells/{cell.name}.svg)"
    return f"### {cell.name}\n\n{text}\n{picture}\n\n{shapes(cell)}\n"


def parts(docstring: str) -> tuple[str, str, str]:
    """Return the paper, the equations, and the note about them in brackets."""
    paper, *rest = (" ".join(part.split()) for part in inspect.cleandoc(docstring).split("\n\n"))
    equations, _, note = " ".join(rest).partition(". (")
    return paper, equations.rstrip("."), note.rstrip(")").rstrip(".") + "." if note else ""


def mathematics(equations: str) -> str:
    """Return equations that semicolons separate as LaTeX, one line each."""
    lines = [
        line for part in equations.split("; ") for line in re.split(r"(?<=\)), (?=(?:\w+, )*\w+'? = )", part) if line
    ]
    return "```math\n\\begin{aligned}\n" + " \\\\\n".join(map(_line, lines)) + "\n\\end{aligned}\n```"


def _line(equation: str) -> str:
    """Return one equation; from its first word on, the rest of it is text."""
    words = re.search(r"(,? (?:where|with|in|normalized|whose) .*)$", equation)
    formula, text = (equation[: words.start()], words[0].lstrip(", ")) if words else (equation, "")
    symbols = re.sub(r"[A-Za-z]+(?:_\w+)?'?|\*", _symbol, formula).replace(" = ", " &= ", 1)
    return symbols.replace("[", "[\\,").replace("]", "\\,]") + (f" \\quad\\text{{{text}}}" if text else "")


def _symbol(match: re.Match[str]) -> str:
    name, _, index = match[0].partition("_")
    if match[0] == "*":
        return r"\odot"
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    body, prime = name.rstrip("'"), "'" * name.endswith("'")
    body = rf"\mathrm{{{body}}}" if len(body) > 1 else body
    # Upper-case letters are matrices: a thin space follows before the vector that they multiply.
    return f"{body}{prime}" + (f"_{{{index}}}" if index else "") + (r"\," if len(name) == 1 and name.isupper() else "")


def shapes(cell: Cell) -> str:
    """Return the parameters and the state of a layer of n units."""
    matrices = ", ".join(
        f"{name} ({_times(matrix.rows)}, {_times(matrix.columns * len(matrix.blocks))})"
        for name, matrix in cell.matrices.items()
    )
    vectors = [name + (f" ({len(starts)}n)" if len(starts) > 1 else "") for name, (starts,) in cell.vectors.items()]
    vectors += [name + (f" ({len(starts)}n)" if len(starts) > 1 else "") for name, (starts,) in cell.zx_vectors.items()]
    facts = [
        f"blocks of W x: {', '.join(cell.blocks)}" if cell.blocks else "x is read without a product W x",
        f"recurrent matrices: {matrices or 'none'}",
    ]
    facts += [f"vectors: {', '.join(vectors)}"] if vectors else []
    facts.append(f"state: {', '.join(cell.state_fields)}")
    bias = cell.bias or cell.vectors["b"].starts
    facts += ["the bias of f starts at 1"] if any(bias) else []
    facts += ["U starts as the identity"] if cell.identity else []
    facts += [f"{name} starts at {value:g}" for name, value in cell.initial.items()]
    return f"With n units: {'; '.join(facts)}."


def _times(share: float) -> str:
    """Return a share of n: "3n", "n/8"."""
    fraction = Fraction(share)
    top = "n" if fraction.numerator == 1 else f"{fraction.numerator}n"
    return top if fraction.denominator == 1 else f"{top}/{fraction.denominator}"


def stack(name: str) -> str:
    """Return the section of the page about a stack."""
    text = "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(EQUATIONS[name]).split("\n\n"))
    shown = STACK_PICTURES.get(name)
    picture = f"\n![{name}: a step of {shown}](cells/{name}.svg)\n\nThe picture shows {shown}.\n" if shown else ""
    return f"### {name}\n\n{text}\n{picture}"


def page(text: str) -> str:
    """Return the page with a new text between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = "\n".join([*map(section, CELLS.values()), "## The stacks\n", *map(stack, EQUATIONS)])
    return f"{before}{BEGIN}\n\n{written}\n{END}{after}"


if __name__ == "__main__":
    written = page(PAGE.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(written != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(written, encoding="utf-8")
