"""Which labels were given to which: the result of a model of labels on labelled texts."""

from typing import TYPE_CHECKING

from charrnn.cli.console import printable, write_data
from charrnn.cli.views.table import aligned
from charrnn.cli.views.wrapping import cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from charrnn.api.evaluation import Evaluation

# With more labels than this, only the most frequent mistakes are shown.
LABELS, MISTAKES = 12, 10
# Columns of a label in a table.
WIDEST = 16


def write_labels(evaluation: "Evaluation", labels: tuple[str, ...]) -> None:
    """Print how many labels are right, and which were mistaken for which."""
    count, right, most = evaluation.characters, evaluation.right or 0, evaluation.most_frequent or 0
    rows = [
        ("labels", f"{count:,}"),
        ("right", f"{right:,}"),
        ("accuracy", f"{right / count:.4f}"),
        ("most frequent label", f"{most / count:.4f}"),
        ("bits per label", f"{evaluation.bits_per_char:.4f}"),
        ("nats per label", f"{evaluation.nats_per_char:.4f}"),
    ]
    write_data("".join(f"{name:<26}{value}\n" for name, value in rows) + "\n" + confusion(evaluation.confusion, labels))


def short_label(label: str) -> str:
    """Return a label in a form that fits a table."""
    text: str = printable(label)
    if cells(text) <= WIDEST:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, WIDEST - 1).rstrip() + "…"


def confusion(counts: "tuple[tuple[int, ...], ...]", labels: tuple[str, ...]) -> str:
    """Return a table with a row for each true label and a column for each given one, or the most frequent mistakes."""
    names = list(map(short_label, labels))
    if len(labels) <= LABELS:
        rows = [(name, *(f"{count:,}" for count in row)) for name, row in zip(names, counts, strict=True)]
        return aligned([("true, given:", *names), *rows], "<" + ">" * len(names))
    mistakes = most_frequent(counts)[:MISTAKES]
    shown = ((f"{count:,}", names[true], names[given]) for count, true, given in mistakes)
    return aligned([("count", "true", "given"), *shown], "><<")


def most_frequent(counts: "Sequence[Sequence[int]]") -> list[tuple[int, int, int]]:
    """Return the mistakes, the most frequent first: how often, and the numbers of the true and of the given label."""
    mistakes = [
        (count, true, given)
        for true, row in enumerate(counts)
        for given, count in enumerate(row)
        if count and given != true
    ]
    return sorted(mistakes, key=lambda mistake: -mistake[0])
