"""Files, folders, patterns and stdin, compressed or not, to documents of bytes."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from charrnn.errors import CharRNNError
from charrnn.text.reader import read_text
from charrnn.text.sources import documents

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".lzma": lzma.compress}


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Return a folder with texts, some deeper, some packed, some of another kind."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_bytes(b"1")
    (tmp_path / "b.TXT.gz").write_bytes(gzip.compress(b"2"))
    (tmp_path / "c.md").write_bytes(b"3")
    (tmp_path / "deep" / "d.txt").write_bytes(b"4")
    (tmp_path / "e.bin.xz").write_bytes(lzma.compress(b"\0binary"))
    (tmp_path / "f.txt").write_bytes("5".encode("utf-16"))
    return tmp_path


def contents(source, include=()) -> list[tuple[str, bytes]]:
    found = [
        (document.name, b"".join(data for data, _ in document.blocks())) for document in documents(source, include)
    ]
    return [(name, content) for name, content in found if content]


def names(source, include=()) -> list[str]:
    return [Path(name).name for name, _ in contents(str(source), include)]


@pytest.mark.parametrize("suffix", PACK)
def test_packed_files_are_unpacked(suffix, tmp_path):
    content = "naïve text\n".encode() * 3000
    path = tmp_path / f"book.txt{suffix}"
    path.write_bytes(PACK[suffix](content))
    assert contents(str(path)) == [(str(path), content)]
    text = read_text([path])
    assert (text.decode().encode(), text.name) == (content, "book.txt")


def test_zstd_is_unpacked_or_asks_for_its_package(tmp_path):
    path = tmp_path / "book.txt.zst"
    try:
        import zstandard
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(CharRNNError, match="needs the package zstandard"):
            contents(str(path))
    else:
        path.write_bytes(zstandard.compress(b"text"))
        assert contents(str(path)) == [(str(path), b"text")]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    "change", [lambda data: data[:-5], lambda data: b"not packed", lambda data: data[:9] + data[12:]]
)
def test_damaged_packing_is_told_in_one_line(suffix, change, tmp_path):
    path = tmp_path / f"book{suffix}"
    path.write_bytes(change(PACK[suffix](bytes(range(256)) * 50)))
    with pytest.raises(CharRNNError, match=r"book\.\w+ cannot be unpacked: "):
        contents(str(path))


def test_a_folder_gives_its_texts_in_order(books):
    assert names(books) == ["a.txt", "b.TXT.gz", "c.md", "d.txt", "f.txt"]


def test_of_a_folder_only_what_is_wanted(books):
    assert names(books, ["*.txt"]) == ["a.txt", "d.txt", "f.txt"]
    assert names(books, ["*.txt", "c.*"]) == ["a.txt", "c.md", "d.txt", "f.txt"]
    # A file that is named is wanted.
    assert names(books / "c.md", ["*.txt"]) == ["c.md"]
    with pytest.raises(CharRNNError) as caught:
        read_text([books], include=["*.html"])
    assert "match *.html" in caught.value.hint


def test_patterns(books):
    assert names(books / "*.txt") == ["a.txt", "f.txt"]
    assert names(books / "**" / "*.txt") == ["a.txt", "d.txt", "f.txt"]
    assert names(books / "dee?") == ["d.txt"]
    with pytest.raises(CharRNNError, match="Nothing matches"):
        names(books / "*.html")
    (books / "odd[1].txt").write_bytes(b"a name, not a pattern")
    assert names(books / "odd[1].txt") == ["odd[1].txt"]
