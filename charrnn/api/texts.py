"""The texts of a file, some at a time: its lines, or the texts of its records; or all of them with their labels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from charrnn.api.generation import Notify
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError, readable_by
from charrnn.text.labelled import labelled
from charrnn.text.lines import PORTION, portions, telling_blocks
from charrnn.text.sources import one_document
from charrnn.text.tables import Labelled, Table


def texts(
    source: str, config: TextConfig, field: str | None, as_they_come: bool, notify: Notify
) -> Iterator[list[str]]:
    """Yield the texts of a file, or of stdin (-), in their order, in portions.

    field: each text is under this name in a record (.jsonl, .csv, .tsv; stdin and other files have lines of JSON);
    without it, each line is a text. Raise CharRNNError for a record without such a text.
    """
    if field is None:
        yield from portions(source, config, as_they_come, notify)
        return
    document = one_document(source)
    table = Table(replace(config, field=field), document.name, lines=True, at_once=as_they_come)
    portion: list[str] = []
    with readable_by("encoding", "errors"):
        for text in table.texts(telling_blocks(document, as_they_come)):
            _check_complete(table)
            portion.append(text)
            if as_they_come or len(portion) == PORTION:
                yield portion
                portion = []
    _check_complete(table)
    if portion:
        yield portion


def whole_texts(sources: Sequence[str], config: TextConfig, notify: Notify) -> Iterator[list[str]]:
    """Yield the whole text of each file, or of stdin (-), without the line break at its end; one in each portion."""
    for source in sources:
        yield ["\n".join(line for portion in portions(source, config, False, notify) for line in portion)]


def check_whole_texts(whole: bool, field: str | None) -> None:
    """Raise CharRNNError if both whole files and the records of files are wanted."""
    if whole and field is not None:
        raise CharRNNError(
            "`whole` reads each file as one text, but `field` reads a text of each record.",
            hint="Leave out one of them.",
        )


def _check_complete(table: Table) -> None:
    """Raise CharRNNError if a record lacks its text: what is printed would no longer belong to the records."""
    if table.lack:
        raise CharRNNError(f"{table.lack}.", hint="Use `field` to name the field whose texts charrnn should read.")


def labelled_texts(
    source: str, config: TextConfig, field: str | None, label_field: str | None, notify: Notify
) -> list[Labelled]:
    """Return the labelled texts of a file, or of stdin (-): lines of LABEL, a tab, TEXT; with `label_field`, records.

    field, label_field: the names of the text and of the label in each record (.jsonl, .csv, .tsv). Raise CharRNNError
    if there is no labelled text.
    """
    # What else the settings change in a text, is changed when a model reads it.
    as_read = TextConfig(encoding=config.encoding, errors=config.errors, newlines="lf")
    read = replace(as_read, field=field, labels=True, label_field=label_field)
    document = one_document(source)
    reader = labelled(read, document.name, lines=True)
    with readable_by("encoding", "errors"):
        found = list(reader.records(data for data, _ in document.blocks()))
    for notice in reader.notices:
        notify(notice)
    if not found:
        raise CharRNNError(f"{document.name} has no labelled text{': ' if reader.lack else ''}{reader.lack}.")
    return found
