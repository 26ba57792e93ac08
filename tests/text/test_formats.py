"""What a file is by its first bytes: what is packed is unpacked, what is no text is refused, texts are read."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import sqlite3
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.errors import CharRNNError
from charrnn.text import lines, reader
from charrnn.text.reader import read_text
from support.commands import charrnn_in, refused, several

TEXT = "naïve text\n" * 3000
PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
IMAGE = "charrnn cannot read images. If it shows a text: tesseract f stdout > f.txt"
DATA = "Write the text in it to a file, and name that file."
SAVE = "Save it as text in the program that made it, and name the new file."


def zipped(*names: str, mimetype: str = "", padding: int = 0) -> bytes:
    """Return a zip archive of files; `padding` bytes that cannot be packed are in the first of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        for number, name in enumerate(names):
            archive.writestr(name, bytes(100) + (b"" if number else np.random.default_rng(0).bytes(padding)))
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return file.getvalue()


def database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a text)")
    return connection.serialize()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(9))
    return file.getvalue()


def pandoc(kind: str) -> str:
    return f"Get its text first: pandoc -f {kind} f -t plain -o f.txt"


DOCX = zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n"
NO_TEXTS = {
    "a Word document (a zip archive)": (DOCX, pandoc("docx")),
    "a Word document": (zipped("docProps/thumbnail.jpeg", "word/document.xml", padding=20_000), pandoc("docx")),
    "an Excel workbook": (zipped("[Content_Types].xml", "xl/workbook.xml"), SAVE),
    "a PowerPoint presentation": (zipped("ppt/presentation.xml"), SAVE),
    "an OpenDocument text": (zipped("a.xml", mimetype="application/vnd.oasis.opendocument.text"), pandoc("odt")),
    "an OpenDocument file": (zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet"), SAVE),
    "an EPUB book": (zipped("a.xhtml", mimetype="application/epub+zip"), pandoc("epub")),
    "a file of arrays": (zipped("best/data.pkl", "best/version"), DATA),
    "a zip archive": (zipped("a.txt"), "Unpack it first: unzip f -d f-files, and name that folder."),
    "a zip": (b"PK\3\4, and then nothing of a zip archive", "Unpack it first: unzip f -d f-files"),
    "a PDF document": (PDF, "Get its text first: pdftotext f f.txt"),
    "a PDF": (b"%PDF-1.4\r\n1 0 obj <</Length 9>> stream", "pdftotext"),
    "an RTF document": (rb"{\rtf1\ansi\deff0 {\fonttbl}", pandoc("rtf")),
    "an old Office document (.doc, .xls, .ppt)": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), SAVE),
    "a PNG image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", IMAGE),
    "a JPEG image": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", IMAGE),
    "a GIF image": (b"GIF89a\x20\x03\x58\x02\xf7\0\0", IMAGE),
    "a GIF": (b"GIF87a\x01\0\x01\0\0\0\0", IMAGE),
    "a TIFF image": (b"II*\0\x08\0\0\0", IMAGE),
    "a WebP image": (b"RIFF\x24\x01\0\0WEBPVP8 ", IMAGE),
    "an SQLite database": (database(), "Get its text first: sqlite3 f 'SELECT column FROM table' > f.txt"),
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n\0\0", DATA),
    "a pickle of Python": (pickle.dumps({"a": [1, "some text", None]}), DATA),
    "a pickle": (pickle.dumps({"vocab": list("abc")}, protocol=2), DATA),
    "a NumPy array": (array(), DATA),
    "a safetensors file": (save({"w": np.zeros(3, np.float32)}), DATA),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c\0\4", "Unpack it first: 7z x f -of-files"),
    "a RAR archive": (b"Rar!\x1a\x07\x01\0", "Unpack it first: unrar x f f-files/"),
    "a tar archive": (tarred(), "Unpack it first: mkdir f-files; tar -xf f -C f-files"),
    "a tar": (gzip.compress(tarred()), "tar -xf f -C f-files"),
    "a program or library (ELF)": (b"\x7fELF\x02\x01\x01\0", DATA),
}
# They begin as such files do, and are texts all the same; some of them in other encodings.
TEXTS: list[tuple[str, str]] = [
    (text, "utf-8")
    for text in (
        "PK is a pair of letters.\n",
        "BM is too.\n",
        "BZh91AY is how a file of bzip2 begins.\n",
        "BZh",
        "%PDF-1.4 is how a PDF begins – “1 0 obj” comes later.\n",
        "%PDF-1.4\nis how a PDF begins.\n",
        "%PDF\n",
        r"{\rtf is how RTF begins} {\rtf1 too}",
        "GIF89a is a format – für Bilder.\nGIF87a is older.\n",
        "GIF89aabcdé",
        "RIFF and WEBP\n",
        "SQLite format 3 is a format.\n",
        "7z, Rar! and ustar\n",
        "(" + 256 * "x" + "ustar is what a tar archive says here)\n",
        "II* and MM\n",
        '{"__metadata__": {"charrnn": 1}}\n',
    )
]
TEXTS += [("“NUMPY is a package of Python”", "cp1252"), ("\u0580\u0565\u0582 \u0580", "utf-16-le"), ("ÿØ", "latin-1")]


@pytest.mark.parametrize("what", NO_TEXTS)
def test_what_is_no_text_is_named_and_how_to_get_its_text(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, hint = NO_TEXTS[what]
    Path("f").write_bytes(content)
    for read in (
        lambda: read_text(["f"]),
        lambda: read_text(["f"], TextConfig(errors="replace")),
        lambda: list(lines.portions("f", DEFAULT_TEXT)),
        lambda: list(lines.portions("f", DEFAULT_TEXT, as_they_come=True)),
    ):
        with pytest.raises(CharRNNError) as caught:
            read()
        assert caught.value.message.startswith(f"f is {what}") and caught.value.message.endswith(", not a text.")
        assert hint in caught.value.hint
        # Whoever reads lines has a model, which is of bytes or not.
        assert ("`bytes=True`" in caught.value.hint) == (hint == DATA and "read_text" in read.__code__.co_names)
    plain = gzip.decompress(content) if what == "a tar" else content
    assert read_text(["f"], TextConfig(bytes=True)).decode() == plain.decode("latin-1")
    # Of a folder it is no part.
    Path("folder").mkdir()
    Path("f").rename("folder/f")
    Path("folder/text").write_text("a text")
    for form in (DEFAULT_TEXT, TextConfig(bytes=True)):
        assert read_text(["folder"], form).names == ("folder/text",)


@pytest.mark.parametrize(("text", "encoding"), TEXTS)
def test_texts_that_begin_alike_are_read(text, encoding, tmp_path):
    (tmp_path / "f").write_bytes(text.encode(encoding))
    for named in (tmp_path / "f", tmp_path):
        if named.is_file() or encoding != "utf-16-le":
            assert read_text([named], TextConfig(encoding=encoding)).decode() == text


def test_the_name_in_the_advice_is_that_of_a_file_which_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, advice in (
        ("notes.docx", "notes.docx -t plain -o notes.txt"),
        ("my notes.txt", "'my notes.txt' -t plain -o 'my notes.txt.txt'"),
    ):
        Path(name).write_bytes(DOCX)
        with pytest.raises(CharRNNError) as caught:
            read_text([name])
        assert caught.value.hint.endswith(advice)


@pytest.mark.parametrize("how", PACK)
@pytest.mark.parametrize("form", [DEFAULT_TEXT, TextConfig(bytes=True)])
def test_what_is_packed_is_unpacked_whatever_its_name(how, form, tmp_path):
    packed, expected = PACK[how](TEXT.encode()), TEXT.encode().decode("latin-1") if form.bytes else TEXT
    for name in ("plain", "a.txt", "a.gz", "a.bz2"):
        (tmp_path / name).write_bytes(packed)
        assert read_text([tmp_path / name], form).decode() == expected
    # Twice, as nothing says that it is enough once: what a run keeps of a pipe is read again as it is.
    (tmp_path / "twice").write_bytes(gzip.compress(packed))
    assert read_text([tmp_path / "twice"], form).decode() == expected
    (tmp_path / "a.gz").write_text(TEXT)
    assert read_text([tmp_path / "a.gz"], form).decode() == expected


@pytest.mark.parametrize("how", PACK)
def test_packed_lines_come_through_a_pipe_in_pieces(how, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = PACK[how](TEXT.encode())

    def give() -> None:
        with open(path, "wb", buffering=0) as pipe:
            for place in range(20):
                pipe.write(packed[place : place + 1])
            pipe.write(packed[20:])

    threading.Thread(target=give, daemon=True).start()
    found = [line for some in lines.portions(str(path), DEFAULT_TEXT, as_they_come=True) for line in some]
    assert found == TEXT.splitlines()


@pytest.mark.parametrize("beginning", [b"a", b"P", b"B\n", b"BZ\n", b"%PDF-1.4\n", b"\x1f\n"])
def test_a_short_line_of_a_live_stream_waits_for_no_more(beginning, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    seen = threading.Event()

    def give() -> None:
        with open(path, "wb", buffering=0) as pipe:
            pipe.write(beginning.removesuffix(b"\n") + b"\n")
            assert seen.wait(300)
            pipe.write(b"x\n")

    threading.Thread(target=give, daemon=True).start()
    found = lines.portions(str(path), DEFAULT_TEXT, as_they_come=True)
    assert next(found) == [beginning.decode().removesuffix("\n")]
    seen.set()
    assert list(found) == [["x"]]


def test_a_text_in_the_cache_is_not_what_an_older_charrnn_took_it_for():
    # Version 1 unpacked by names alone, and knew no formats.
    # Version 2 had notices of carriage returns, which are told elsewhere.
    assert reader._FORMAT == 4


def test_every_reader_of_texts_says_so(small):
    (small / "notes.docx").write_bytes(DOCX)
    (small / "packed").write_bytes(gzip.compress(b"bad cafe\n" * 9))
    checkpoint = "checkpoints/small/best.safetensors"
    word = "notes.docx is a Word document (a zip archive), not a text.\n"
    commands = {
        "train": ("train", "notes.docx"),
        "val-file": ("train", "text.txt", "--val-file", "notes.docx"),
        "vocab": ("vocab", "notes.docx"),
        "eval": ("eval", "small", "notes.docx"),
        "lines": ("score", "small", "notes.docx"),
        "file": ("score", "small", "notes.docx", "--whole"),
        "complete": ("complete", "small", "notes.docx"),
        "novel": ("sample", "small", "--novel-to", "notes.docx"),
    }
    said = several(small, *((name, "", *words) for name, words in commands.items()))
    assert said == dict.fromkeys(
        commands,
        (f"charrnn: {word}  Get its text first: pandoc -f docx notes.docx -t plain -o notes.txt\nexit 1\n", 1),
    )
    piped = refused(charrnn_in(small, "vocab", "-", stdin=DOCX))
    assert piped.startswith("charrnn: stdin is a Word document") and "pandoc -f docx FILE " in piped
    said = several(small, ("model", "", "train", "text.txt", checkpoint), ("packed", "packed", "vocab", "-"))
    what = f"{checkpoint} is a checkpoint of charrnn, not a text."
    assert f"{what}\n  Name a text. --init {checkpoint} begins" in said["model"][0]
    assert said["packed"] == ("exit 0\n", 0)
