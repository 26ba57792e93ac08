"""Labelled texts: lines of LABEL, a tab, TEXT, or records with a field for the label and one for the text."""

import re
from collections.abc import Iterable, Iterator

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.decoding import Decoder, prepare
from charrnn.text.tables import Labelled, Table, as_written, is_table, is_tsv, whole_lines

TAB = "\t"
# In a text that is read, the characters from FIRST on (private ones of Unicode, which texts do not contain) are the
# labels, in the order in which they appear, each after its document.
FIRST, MOST = 0x100000, 1000
_TAKEN = re.compile(f"[{chr(FIRST)}-\U0010ffff]")


class LabelWriter:
    """Writes labelled texts as the documents of one text: each text, and then the symbol of its label."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self._symbols: dict[str, str] = {}

    def document(self, record: Labelled) -> str:
        """Return a labelled text as a document; CharRNNError if there are too many different labels."""
        symbol = self._symbols.get(record.label)
        if symbol is None:
            if len(self.labels) == MOST:
                raise CharRNNError(
                    f"There are more than {MOST:,} different labels; {record.label!r:.60} is one of them.",
                    hint="Check which field has the labels.",
                )
            symbol = self._symbols[record.label] = chr(FIRST + len(self.labels))
            self.labels.append(record.label)
        return (record.text if record.text.isascii() else _TAKEN.sub("\ufffd", record.text)) + symbol


def is_label(symbol: str) -> bool:
    """Return whether a character of a labelled text is the symbol of a label."""
    return ord(symbol) >= FIRST


class LabelledLines:
    """The labelled texts of a file of lines LABEL, a tab, TEXT, read in one pass; empty lines are skipped.

    It has the same methods as a `Table`. No line may lack its label, because then the file has another form.
    """

    lack = ""

    def __init__(self, config: TextConfig, where: str):
        self.config, self.where = config, where
        self.decoder = Decoder(as_written(config), where)

    @property
    def notices(self) -> list[str]:
        """Return notices for the user about how the file was read."""
        return self.decoder.notices

    def records(self, blocks: Iterable[bytes]) -> Iterator[Labelled]:
        """Yield the labelled texts in a file's bytes; CharRNNError for a line without a label."""
        for number, line in enumerate(whole_lines(self.decoder, blocks), 1):
            line = line.removesuffix("\n").removesuffix("\r")
            if not line.strip():
                continue
            label, tab, text = line.partition(TAB)
            if not tab or not label.strip():
                raise CharRNNError(
                    f"{self.where}:{number} has no {'label before its' if tab else 'tab, so no label before a'} tab; "
                    "each line must be a label, a tab and a text.",
                    hint="For records (.csv, .tsv, .jsonl) name the fields of the label and of the text: `label_field` "
                    "and `field`.",
                )
            yield Labelled(label.strip(), prepare(text, self.config))


def labelled(config: TextConfig, where: str, lines: bool = False) -> Table | LabelledLines:
    """Return the reader of a file of labelled texts: of its records if `config` names their fields, else of lines.

    lines: records whose form the name of the file does not show are lines of JSON.
    """
    if config.label_field is not None:
        return Table(config, where, lines)
    if is_table(where) and not is_tsv(where):
        raise CharRNNError(
            f"{where} has records, but the fields of the label and of the text are not named.",
            hint="Name them: `label_field` and `field`.",
        )
    return LabelledLines(config, where)
