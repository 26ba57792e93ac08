"""How a unit of a model differs between two labels: draws the histograms of its mean over each text.

    python benchmarks/unit.py RUN TEXTS.csv layer1/h/117 PICTURE.png [--label-field label] [--field sentence]

As figure 3 of Radford et al. 2017, *Learning to Generate Reviews and Discovering Sentiment*. Needs matplotlib.
"""

import argparse
from pathlib import Path

import numpy as np
from labels import read

import charrnn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("unit")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--label-field", default="label")
    parser.add_argument("--field", default="sentence")
    options = parser.parse_args()
    layer, state, number = options.unit.split("/")
    texts, labels = read(options.texts, options)
    vectors = charrnn.load(options.run).embed(texts, layer=int(layer.removeprefix("layer")), state=state)
    values = vectors[:, int(number)]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    bins = np.linspace(values.min(), values.max(), 41)
    for label in sorted(set(labels)):
        of_label = values[np.array(labels) == label]
        axes.hist(of_label, bins, alpha=0.6, label=f"{label} ({len(of_label):,} texts)")
    axes.set_xlabel(f"mean of {options.unit} over the text")
    axes.set_ylabel("texts")
    axes.legend()
    figure.savefig(options.picture, dpi=120)


if __name__ == "__main__":
    main()
