"""From bytes to the text that a model sees: encoding, line ends, Unicode forms."""

import codecs
import unicodedata

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError

# Longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes, config: TextConfig, where: str) -> tuple[str, list[str]]:
    """Return the text of a document, and notices: what a person should know of how it was read.

    A byte order mark at the beginning is dropped, and decides between the forms of Unicode. Bytes that the encoding
    does not know are a CharRNNError that names `where`, unless --errors says otherwise.
    """
    encoding, mark, notices = config.encoding, b"", []
    for known, marked in _MARKS:
        if data.startswith(known) and _is_unicode(config.encoding):
            encoding, mark = marked, known
            if not _same(marked, config.encoding):
                notices.append(f"{where} is {marked.removesuffix('-le').removesuffix('-be').upper()} by its mark.")
            break
    try:
        text = data[len(mark) :].decode(encoding, config.errors)
    except UnicodeDecodeError as error:
        raise _undecodable(data, encoding, error.start + len(mark), where) from None
    except ValueError as error:
        raise CharRNNError(f"{where} cannot be decoded as {encoding}: {error}.") from None
    returns = text.count("\r")
    if returns and config.newlines == "keep":
        notices.append(
            f"{where} has carriage returns ({returns:,}: line ends of Windows or of old), which the model would learn; "
            "--newlines lf makes plain line ends of them."
        )
    return prepare(text, config), notices


def prepare(text: str, config: TextConfig) -> str:
    """Return text as the model was trained to see it: line ends, Unicode form and case as configured."""
    if config.newlines == "lf":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if config.normalize is not None:
        text = unicodedata.normalize(config.normalize.upper(), text)  # type: ignore[arg-type]
    return text.lower() if config.lower else text


def _is_unicode(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith("utf")


def _same(marked: str, encoding: str) -> bool:
    """Return whether an encoding that was asked for is the one that a mark tells."""
    return marked.startswith(codecs.lookup(encoding).name.removesuffix("-sig"))


def _undecodable(data: bytes, encoding: str, place: int, where: str) -> CharRNNError:
    line = data.count(b"\n", 0, place) + 1
    likely = "utf-16" if b"\0" in data[:100] else "latin-1"
    return CharRNNError(
        f"{where} is not {encoding.upper()}: byte 0x{data[place]:02x} at offset {place:,}, line {line:,}.",
        hint=f"Name its encoding (--encoding {likely}, say), or have such bytes replaced: --errors replace",
    )
