"""From bytes to the text that a model sees: encoding, line ends, Unicode forms; a block at a time."""

import codecs
import io
import unicodedata

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError, NoText
from charrnn.text.guess import likely_encodings

# Longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How much of a document is looked at to tell its encoding.
HEAD = 1024
# Raw bytes as text: byte b is the character U+00b.
BYTES = "latin-1"
# Text waits for the next block if it has no place to cut it: at most this many characters.
_HELD = 1 << 20
_LOOK_BACK = 4096


class Decoder:
    """Turns the bytes of one document into text, block by block; how they are cut into blocks makes no difference.

    A byte order mark at the beginning is dropped, and decides between the forms of Unicode. Nothing is decoded before
    `head` bytes are there to be looked at, or all.
    """

    def __init__(self, config: TextConfig, where: str, head: int = HEAD):
        self.config, self.where, self.head = config, where, head
        self.notices: list[str] = []
        self._head: bytes | None = b""
        self._fed = self._line_breaks = 0
        self._held = ""
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True) if config.newlines == "lf" else None

    def feed(self, data: bytes, last: bool = False) -> str:
        """Return the text of the next block, as far as it is settled; with `last`, all that is left.

        Bytes that the encoding does not know are a CharRNNError with their place, unless `errors` says otherwise.
        """
        if self._head is not None:
            self._head += data
            if len(self._head) < self.head and not last:
                return ""
            data, self._head = self._head, None
            self.encoding, mark = self._recognised(data[:HEAD])
            self._decoder = codecs.getincrementaldecoder(self.encoding)(self.config.errors)
            self._fed, data = len(mark), data[len(mark) :]
        return self._prepared(self._decoded(data, last), last)

    def close(self) -> str:
        """Return the text that is left at the end of the document."""
        return self.feed(b"", last=True)

    def _recognised(self, head: bytes) -> tuple[str, bytes]:
        """Return the encoding of a document that begins with `head`, and its mark."""
        if self.config.bytes:
            return BYTES, b""
        if _is_unicode(self.config.encoding):
            for mark, encoding in _MARKS:
                # Where UTF-16 was asked for, a mark and a NUL are just that.
                if head.startswith(mark) and not (_same("utf-16", self.config.encoding) and "32" in encoding):
                    if not _same(encoding, self.config.encoding):
                        form = encoding.removesuffix("-le").removesuffix("-be").upper()
                        self.notices.append(f"{self.where} is {form} by its mark.")
                    return encoding, mark
        unmarked = _unmarked_utf16(head)
        if unmarked and _same("utf-8", self.config.encoding):
            self.notices.append(f"{self.where} is taken for {unmarked.upper()}: every other byte of it is zero.")
            return unmarked, b""
        name = codecs.lookup(self.config.encoding).name
        if name in ("utf-16", "utf-32"):
            # Python's own decoders of these want a mark.
            return unmarked or f"{name}-le", b""
        return self.config.encoding, b""

    def _decoded(self, data: bytes, last: bool) -> str:
        self._fed += len(data)
        try:
            text = self._decoder.decode(data, last)
        except UnicodeDecodeError as error:
            # The decoder read this block after the rest of the previous one.
            good, left = error.object[: error.start], error.object[error.start :]
            line = self._line_breaks + good.decode(self.encoding, "replace").count("\n") + 1
            begin = good.rfind(b"\n") + 1
            guessed = likely_encodings(error.object[begin:], self.encoding)[:2]
            likely = ", or ".join(f"`encoding='{name}'`" for name in guessed)
            raise NoText(
                f"{self.where} is not {self.encoding.upper()}: byte 0x{left[0]:02x} at offset "
                f"{self._fed - len(left):,}, line {line:,}.",
                "",
                {
                    "encoding": f"Name its encoding (for example {likely})." if likely else "",
                    "errors": "Or replace such bytes: `errors='replace'`.",
                    "bytes": "Or train on raw bytes: `bytes=True`.",
                },
            ) from None
        except ValueError as error:
            raise CharRNNError(f"{self.where} cannot be decoded as {self.encoding}: {error}.") from None
        self._line_breaks += text.count("\n")
        return text

    def _prepared(self, text: str, last: bool) -> str:
        if self._newlines:
            text = self._newlines.decode(text, last)
        if self.config.normalize is None and not self.config.lower:
            return text
        text = self._held + text
        cut = len(text) if last else _safe_cut(text, self.config)
        self._held = text[cut:]
        return _formed(text[:cut], self.config)


def prepare(text: str | bytes, config: TextConfig) -> str:
    """Return text in the form that the model was trained on: raw bytes, line ends, Unicode form and case as configured.

    Bytes are decoded as UTF-8, and invalid ones with Python's surrogateescape, which only a model of bytes can read.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if config.bytes:
        text = text.encode("utf-8", "surrogateescape").decode(BYTES)
    if config.newlines == "lf":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _formed(text, config)


def readable(text: str, config: TextConfig) -> str:
    """Return text of a model as people read it: bytes are decoded as UTF-8, the opposite of `prepare`.

    A byte that is not part of a character is decoded with Python's surrogateescape.
    """
    return text.encode(BYTES).decode("utf-8", "surrogateescape") if config.bytes else text


def _formed(text: str, config: TextConfig) -> str:
    if config.normalize is not None:
        text = unicodedata.normalize(config.normalize.upper(), text)  # type: ignore[arg-type]
    return text.lower() if config.lower else text


def _safe_cut(text: str, config: TextConfig) -> int:
    """Return a place where text can be cut without changing how it is normalized or put in lower case.

    If there is no such place in a long text, it is cut anyway.
    """
    for place in range(len(text) - 1, max(0, len(text) - _LOOK_BACK), -1):
        if not _joins(text[place]) and (not config.lower or _ends_words(text[place], config)):
            return place
    return len(text) if len(text) > _HELD else 0


def _ends_words(character: str, config: TextConfig) -> bool:
    """Return whether a word ends before a character: in lower case a sigma's form depends on that."""
    return _formed(f"ΑΣ{character}Α", config)[1] == "ς"


def _joins(character: str) -> bool:
    """Return whether a character may combine with the one before it: marks and the later parts of Hangul syllables."""
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff"


def _is_unicode(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith("utf")


def _same(marked: str, encoding: str) -> bool:
    """Return whether an encoding that was asked for is the one that a mark tells."""
    return marked.startswith(codecs.lookup(encoding).name.removesuffix("-sig"))


def _unmarked_utf16(head: bytes) -> str | None:
    """Return the form of UTF-16 that bytes without a mark are in, as far as Western text lets one tell, or None."""
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs < 2 or even + odd < 0.8 * pairs or min(even, odd) > 0:
        return None
    return "utf-16-le" if odd else "utf-16-be"
