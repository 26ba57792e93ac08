"""Draw what every cell computes, docs/cells/NAME.svg, with Graphviz; --check needs none and compares what is there.

A picture holds the SHA-256 of the DOT source that it was made from, and that is made of the cell's step (dataflow.py).
"""

import html
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from dataflow import Box, dataflow

from charrnn.cells import CELLS
from charrnn.network.gated_feedback import gated_feedback
from charrnn.network.grid import grid

FOLDER = Path(__file__).parent / "cells"
DRAWN = {**CELLS, "grid": grid(CELLS["lstm"]), "gated-feedback": gated_feedback(CELLS["rnn"], 2)}
FONT = "Helvetica,Arial,sans-serif"
GRAPH = f"""rankdir=LR; bgcolor="#fcfcfa"; pad=.2; nodesep=.18; ranksep=.3
node [fontname="{FONT}", fontsize=12, shape=box, style=filled, height=.3, width=.4, margin=".08,.03"]
edge [color="#5b6270", arrowsize=.6]"""
LOOKS = {
    "state": 'style="filled,rounded", fillcolor="#dbe9f8", color="#3b73af"',
    "input": 'style="filled,rounded", fillcolor="#e0f0dd", color="#4a8f45"',
    "matrix": 'fillcolor="#fbeac3", color="#c08a1e"',
    "parameter": 'style="filled,rounded", fillcolor="#fbeac3", color="#c08a1e"',
    "function": 'fillcolor="#f1dff3", color="#97439c"',
    "arithmetic": 'style="filled,rounded", fillcolor="#ffffff", color="#5b6270"',
    "letters": 'shape=none, style=solid, height=0, width=0, margin=".03,0"',
}
CIRCLE = "shape=circle, style=filled, fixedsize=true, width=.3"
# Where the order matters, each operand has a field with its own sign.
SIGNS = {sign: f'shape=Mrecord, label="<0>{other}|<1>{sign}", height=.5, width=.3' for other, sign in ("+−", "×÷")}


def dot_source(title: str, boxes: list[Box]) -> str:
    """Return a dataflow in Graphviz's language."""
    number = {box: n for n, box in enumerate(boxes)}
    # As keys, because lines of one origin share the letters at their beginning.
    lines: dict[str, None] = {}
    for box, n in number.items():
        look = f"label=<{marked_up(box.label)}>, {LOOKS[box.kind]}"
        if box.kind == "arithmetic" and len(box.label) <= 2:
            look += f", {SIGNS.get(box.label, CIRCLE)}"
        lines[f"{n} [class={box.kind}, {look}]"] = None
        for place, operand in enumerate(box.operands):
            head = f"{n}:{place}:w" if box.label in SIGNS else f"{n}"
            for piece in operand.pieces:
                tail, letters = f"{number[piece.box]}", ", ".join(piece.letters)
                if letters:
                    whole, tail = tail, f'"{tail} {letters}"'
                    lines[f"{tail} [class=letters, label=<<I>{marked_up(letters)}</I>>, {LOOKS['letters']}]"] = None
                    # Heavy, hence short: the letters stand near the beginning.
                    lines[f"{whole} -> {tail} [dir=none, weight=20]"] = None
                weight = 8 if {piece.box.kind, box.kind} <= {"state", "arithmetic"} else 1
                lines[f"{tail} -> {head} [weight={weight}]"] = None
    last = [box for box in boxes if box.operands and box.kind == "state"]
    names = [box.label.strip("′") for box in last]
    first = [box for box in boxes if not box.operands and box.kind != "parameter"]
    first.sort(key=lambda box: box.kind == "state" and names.index(box.label))
    for rank, column in ("source", first), ("sink", last):
        order = " -> ".join(str(number[box]) for box in sorted(column, key=height))
        lines[f"{{rank={rank}; edge [style=invis]; {order}}}"] = None
    return "\n".join([f'digraph "{title}" {{', GRAPH, *lines, "}\n"])


def height(box: Box) -> tuple[bool, ...]:
    """Return what the boxes of the first and the last column are sorted by: memories, h, x, what comes from below."""
    return box.kind == "input", "below" in box.label, "_" not in box.label, box.label[0] == "h"


def marked_up(label: str) -> str:
    """Return a label where what follows an underscore, or the number of a matrix, is a subscript."""
    subscript = r'\1<FONT POINT-SIZE="9"><SUB>\2\3</SUB></FONT>'
    return re.sub(r"([A-Za-z])(?:_(\w+)|(\d))", subscript, label).replace("_", ",")


def draw(source: str) -> str:
    """Return the picture of a DOT source, without Graphviz's version and what no reader sees."""
    drawn = subprocess.run(["dot", "-Tsvg"], input=source.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    drawn = re.sub(r"<!--.*?-->\n|<title>.*?</title>\n", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    drawn = re.sub(rf' id="\w+"| xmlns:xlink="[^"]+"| text-anchor="start"| font-family="{FONT}"', "", drawn)
    drawn = re.sub(r'(?<=\d)pt"', '"', drawn).replace('"transparent"', '"none"').replace(".00", "")
    # Firefox knows no baseline-shift.
    drawn = drawn.replace('baseline-shift="sub"', 'dy="3"').replace("<svg", f'<svg font-family="{FONT}"', 1)
    title = html.escape(source.split('"')[1])
    return drawn.replace(">\n", f">\n<!-- {digest(source)} -->\n<title>{title}</title>\n", 1)


def digest(source: str) -> str:
    return sha256(source.encode()).hexdigest()


def faults(sources: dict[str, str]) -> list[str]:
    """Return what is wrong with the pictures that there are."""
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")}
    found = [f"docs/cells/{name} is of no cell" for name in there.keys() - sources.keys()]
    found += [f"docs/cells/{name} is missing" for name in sources.keys() - there.keys()]
    found += [
        f"docs/cells/{name} is not of the step as it is now"
        for name in sources.keys() & there.keys()
        if digest(sources[name]) not in there[name]
    ]
    return sorted(found)


if __name__ == "__main__":
    sources = {
        f"{name}.svg": dot_source(f"{cell.name} ({cell.paper}): one step", dataflow(cell))
        for name, cell in DRAWN.items()
    }
    if "--check" in sys.argv:
        sys.exit("\n".join([*found, "Run make pictures."]) if (found := faults(sources)) else 0)
    if shutil.which("dot") is None:
        sys.exit("The pictures are drawn by Graphviz, whose command `dot` is not here: apt install graphviz.")
    pictures = {name: draw(source) for name, source in sources.items()}
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.svg"):
        path.unlink()
    for name, picture in pictures.items():
        (FOLDER / name).write_text(picture, encoding="utf-8", newline="\n")
