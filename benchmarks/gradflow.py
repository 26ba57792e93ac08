"""How far back gradients reach in six cells, at the start and after training: prints a Markdown table, draws a picture.

    python benchmarks/gradflow.py FOLDER [--plot docs/cells/gradients.png]

Writes into FOLDER the text, which charrnn makes of the Python modules of this machine, and a run for each cell. All
cells have one layer of 64 units and the same settings. The budget is a number of steps, so the table does not depend on
the speed of the machine. Runs that are there already are not trained again.
"""

import argparse
import math
from pathlib import Path

import machine

import charrnn
from charrnn.api.corpora import get_corpus, known_corpora
from charrnn.api.gradient_reach import QUANTILES
from charrnn.cells import CELLS

SIZE = 1_000_000
SETTINGS = {"layers": 1, "units": 64, "batch": 32, "seq": 128, "dropout": 0.0, "seed": 0}
SHOWN = ["rnn", "irnn", "lstm-1997", "lstm", "gru", "clockwork"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=SHOWN)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--reach", type=int, default=200)
    parser.add_argument("--plot", type=Path, help="draw the gradients after training")
    args = parser.parse_args()
    text = args.folder / "python.txt"
    args.folder.mkdir(parents=True, exist_ok=True)
    if not text.exists():
        get_corpus("python", known_corpora()["python"], text, SIZE)
    print(machine.describe("charrnn", "numpy", "tensorflow", "keras"))
    for cell in args.cells:
        if not (args.folder / cell / "best.safetensors").exists():
            charrnn.train(text, name=cell, out=args.folder, cell=cell, steps=args.steps, **SETTINGS)
    flows = charrnn.gradient_flow(*(args.folder / cell for cell in args.cells), reach=args.reach)
    print(f"1x{SETTINGS['units']}, batch {SETTINGS['batch']}, seq {SETTINGS['seq']}, {args.steps} steps:\n")
    print("| cell | reach at the start | reach after training | factor at the start | after training | bits |")
    print("|---|---|---|---|---|---|")
    for cell, start, trained in zip(args.cells, flows[::2], flows[1::2], strict=True):
        (facts,) = charrnn.inspect(args.folder / cell)
        bits = facts["validation"]["nats_per_char"] / math.log(2)
        reaches = " | ".join(_reach(flow) for flow in (start, trained))
        print(f"| {cell} | {reaches} | {start.factor:.3f} | {trained.factor:.3f} | {bits:.3f} |")
    if args.plot:
        from charrnn.cli.views.gradient_flow import write_picture

        write_picture(args.plot, flows[1::2])


def _reach(flow: charrnn.GradientFlow) -> str:
    """Return the median reach and, in brackets, the other quantiles."""
    low, median, high = (
        f"{flow.reaches[quantile]}{'+' if flow.reaches[quantile] == flow.lags[-1] else ''}" for quantile in QUANTILES
    )
    return f"{median} ({low} to {high})"


if __name__ == "__main__":
    main()
