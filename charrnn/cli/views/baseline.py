"""How well n-gram models and compressors predict a text, as a table."""

import math
from typing import TYPE_CHECKING

from charrnn.cli.views.table import aligned
from charrnn.cli.views.wrapping import tell

if TYPE_CHECKING:
    from charrnn.api.baseline import Baseline


def tell_what(found: "Baseline") -> None:
    """Print on what the models were trained, and what they predict."""
    trained, read = f"{found.training:,}", f"all {found.held_out:,}" if found.held_out > 1 else "1"
    if found.trained < found.training:
        trained = f"the last {found.trained:,} of {trained}"
    if found.read < found.held_out:
        read = f"the first {found.read:,} of {found.held_out:,}"
    if found.characters < found.read:
        read = f"{found.characters:,} that count among {read}"
    trained += f" {found.unit}{'' if found.training == 1 else 's'}"
    read += f" held-out {found.unit}{'' if found.held_out == 1 else 's'}"
    also = " Compressors see only these." if found.compressors else ""
    tell(f"Kneser-Ney n-gram models, trained on {trained}, predict {read}.{also}")


def shown(found: "Baseline") -> str:
    """Return the table: a row for each order, of which the best is marked, and for each compressor."""
    rows = [["MODEL", f"BITS PER {found.unit.upper()}", "NATS", "N-GRAMS", ""]]
    for model in found.orders:
        best = "best" if model is found.best else ""
        bits, nats = f"{model.bits_per_char:.4f}", f"{model.nats_per_char:.4f}"
        rows.append([f"order {model.order}", bits, nats, f"{model.ngrams:,}", best])
    for name, bits_per_char in found.compressors.items():
        rows.append([name, f"{bits_per_char:.4f}", f"{bits_per_char * math.log(2):.4f}", "-", ""])
    if found.test:
        tested = ["BITS, TEST PART", *(f"{model.bits_per_char:.4f}" for model in found.test)]
        tested += ["-"] * len(found.compressors)
        rows = [[*row[:2], test, *row[2:]] for row, test in zip(rows, tested, strict=True)]
    return aligned(rows, "<>>>><" if found.test else "<>>><")
