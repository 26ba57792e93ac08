"""Prints lines with their labels: as tab-separated fields, or as lines of JSON."""

from collections.abc import Iterable

from charrnn.api.json_text import json_text
from charrnn.api.labelling import Labelling
from charrnn.cli.console import TextWriter, write_data

# A label or a text from a record may contain these; they would break the line, or its fields.
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Labels:
    """Prints lines with their labels; a line of `json` has the probabilities of all labels."""

    def __init__(self, json: bool, encoding: str):
        self.json = json
        self.writer = TextWriter(encoding, errors="replace")

    def show(self, labelled: Iterable[Labelling], first: int) -> None:
        """Print some lines, numbered from `first`."""
        if self.json:
            records = ({"line": number, **one.to_json()} for number, one in enumerate(labelled, first))
            write_data("".join(json_text(record, ascii_only=False) for record in records))
            return
        self.writer.write("".join(map(_row, labelled)))


def _row(one: Labelling) -> str:
    # Only line breaks are escaped in the text, the last field, so that tabs in it stay what they were.
    text = one.text.replace("\n", "\\n")
    return f"{one.label.translate(_ESCAPES)}\t{one.probability:.4f}\t{text}\n"
