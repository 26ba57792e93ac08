"""The settings of a text: how its bytes become what a model reads."""

import codecs
from dataclasses import dataclass, replace

from charrnn.config.checks import named, one_of
from charrnn.errors import CharRNNError

ERRORS = ("strict", "replace")
NEWLINES = ("keep", "lf")
UNKNOWN = ("error", "skip", "replace")
NORMAL_FORMS = ("nfc", "nfd", "nfkc", "nfkd")
# The character after each document that is a record, unless an option says otherwise: Unicode's record separator, which
# texts do not contain.
RECORD_END = "\x1e"


@dataclass(frozen=True)
class TextConfig:
    """How bytes become the text that a model sees; settings that differ from the defaults are part of the model.

    Documents are files; with `one_per_line`, lines; with `documents_between`, the parts of files that this marker ends.
    With a `field`, only the texts under this name in the records of a file are read, each as a file of its own.
    `separator` is added after each file; with `resets`, the hidden state starts again where a document begins. With
    `loss_after`, the loss counts only after the first such character of each document. With `reverse`, the model reads
    each document from its end to its beginning, or the whole text if the hidden state does not start again.

    With `labels` each document is a line with a label, a tab and a text; with a `label_field` it is a record whose
    label has this name, and whose text has the name `field`.
    """

    encoding: str = "utf-8"
    errors: str = "strict"
    newlines: str = "keep"
    normalize: str | None = None
    lower: bool = False
    bytes: bool = False
    one_per_line: bool = False
    documents_between: str | None = None
    field: str | None = None
    separator: str | None = None
    reset_at_documents: bool = False
    loss_after: str | None = None
    reverse: bool = False
    labels: bool = False
    label_field: str | None = None

    @property
    def labelled(self) -> bool:
        """Return whether each document has a label."""
        return self.labels or self.label_field is not None

    @property
    def unit(self) -> str:
        """Return the unit that the model reads and predicts: "character" or "byte"."""
        return "byte" if self.bytes else "character"

    @property
    def resets(self) -> bool:
        """Return whether the hidden state returns to its initial value where a document begins."""
        return self.divided or self.reset_at_documents

    @property
    def divided(self) -> bool:
        """Return whether documents are parts of files, which their ends tell: lines, or what a marker ends."""
        return self.one_per_line or self.documents_between is not None or self.labelled

    @property
    def document_end(self) -> str | None:
        """Return the text that ends every document, if one does."""
        return "\n" if self.one_per_line else self.documents_between or self.separator

    def __post_init__(self) -> None:
        self._check_labels()
        self._check_documents()
        self._check_bytes()
        one_of(self, "errors", ERRORS)
        one_of(self, "newlines", NEWLINES)
        if self.normalize is not None:
            one_of(self, "normalize", NORMAL_FORMS)
        try:
            # It must be an encoding of text, and one that can be read a block at a time.
            b" ".decode(self.encoding or "none", "ignore")
            if codecs.lookup(self.encoding).incrementaldecoder is None:
                raise LookupError
        except (LookupError, ValueError):
            raise CharRNNError(
                f"`encoding` is {self.encoding!r}, which Python does not know.",
                hint="Examples: utf-8, utf-16, latin-1, cp1252.",
            ) from None

    def _check_labels(self) -> None:
        """Raise CharRNNError unless what labels are part of is said once."""
        if self.label_field is not None and self.field is None:
            raise CharRNNError(
                f"`label_field={self.label_field!r}` names the label of each record, but nothing names its text.",
                hint="Add `field='NAME'`.",
            )
        if self.label_field == "" or (self.labelled and self.label_field == self.field and self.field is not None):
            raise CharRNNError("`label_field` must be the name of a field, and another one than `field`.")
        if self.labels and self.field is not None and self.label_field is None:
            raise CharRNNError(
                f"`field={self.field!r}` names the text of each record, but nothing names its label.",
                hint="Add `label_field='NAME'`.",
            )
        odd = ("one_per_line", "documents_between", "separator", "reset_at_documents", "loss_after", "bytes")
        if self.labelled and (given := [named(name) for name in odd if getattr(self, name)]):
            raise CharRNNError(
                f"Each labelled text is a document of its own, of characters: leave out {' and '.join(given)}."
            )

    def _check_documents(self) -> None:
        self._check_character("separator", r"Examples: '\n', '\x1e'.")
        self._check_character("loss_after", r"Example: '\t'.")
        self._check_marker()
        if self.field == "":
            raise CharRNNError("`field` is empty; it must be the name under which the texts are.")
        if self.loss_after is None:
            return
        # Records are documents, unless a separator makes one stream of them.
        if not self.resets and (self.field is None or self.separator is not None):
            raise CharRNNError(
                "`loss_after` needs documents at whose beginnings the hidden state starts again; this text has none.",
                hint="Add `one_per_line=True` or `documents_between='TEXT'` or, where files are documents, "
                "`reset_at_documents=True`.",
            )
        if self.reverse:
            raise CharRNNError(
                "`reverse` reads the answer before the question: it cannot be combined with `loss_after`.",
                hint="Leave out one of them.",
            )
        if self.loss_after == self.document_end:
            raise CharRNNError(
                f"`loss_after` is {self.loss_after!r}, which ends every document: nothing follows it.",
                hint="Name the character between the two parts of a document.",
            )

    def _check_marker(self) -> None:
        """Raise CharRNNError unless what ends documents inside files is a text, and nothing else says what they are."""
        marker = self.documents_between
        if self.one_per_line and marker is not None:
            raise CharRNNError(
                "`one_per_line` and `documents_between` exclude each other: with `one_per_line` every line is a "
                "document.",
                hint="Give one of them.",
            )
        if self.divided and (self.separator is not None or self.reset_at_documents):
            name, what = (
                ("one_per_line", "every line")
                if self.one_per_line
                else ("documents_between", "every part before a marker")
            )
            raise CharRNNError(
                f"`{name}` makes {what} a document; `separator` and `reset_at_documents` are for documents that are "
                "files."
            )
        if marker is None:
            return
        if not marker or any("\ud800" <= one <= "\udfff" or (self.bytes and one > "\xff") for one in marker):
            raise CharRNNError(
                f"`documents_between` is {marker!r}; it must be a text of one or more "
                f"{'bytes' if self.bytes else 'characters'}.",
                hint=r"Such as '\n\n' (a blank line) or '%%\n' (a line of its own).",
            )

    def _check_character(self, name: str, hint: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if len(value) != 1 or "\ud800" <= value <= "\udfff" or (self.bytes and value > "\xff"):
            raise CharRNNError(
                f"{named(name)} is {value!r}; it must be one {'byte' if self.bytes else 'character'}.",
                hint=r"A character that is not ASCII is several bytes; \xff is one." if self.bytes else hint,
            )

    def _check_bytes(self) -> None:
        names = ("encoding", "errors", "normalize", "lower")
        changed = [named(name) for name in names if getattr(self, name) != getattr(TextConfig, name)]
        if self.bytes and changed:
            raise CharRNNError(f"`bytes` reads bytes without decoding them; it excludes {' and '.join(changed)}.")


DEFAULT_TEXT = TextConfig()


def with_records(text: TextConfig) -> TextConfig:
    """Return the settings of a text; if it has records, each is a document, unless its documents are set otherwise."""
    has_documents = text.resets or text.separator is not None
    return text if text.field is None or has_documents else replace(text, documents_between=RECORD_END)
