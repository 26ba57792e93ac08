"""Files, folders, patterns and stdin, compressed or not, to documents of bytes."""

import bz2
import gzip
import lzma
import os
import subprocess
import threading
from pathlib import Path

import pytest

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.runs.folder import Run
from charrnn.text.reader import read_text
from charrnn.text.sources import check_include, comes_once, documents
from support.commands import COMMAND, charrnn_in
from support.terminal import LIMIT, Terminal

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
        path.write_bytes(b"\x28\xb5\x2f\xfd")
        with pytest.raises(CharRNNError, match="needs the package zstandard"):
            contents(str(path))
    else:
        path.write_bytes(zstandard.compress(b"text"))
        assert contents(str(path)) == [(str(path), b"text")]


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("change", [lambda data: data[:-5], lambda data: data[:13], lambda data: data[:13] + data[16:]])
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


@pytest.fixture
def pipe(tmp_path: Path):
    """Return a function that makes a pipe with a name, which gives a content once."""

    def make(name: str, content: bytes) -> str:
        path = tmp_path / name
        os.mkfifo(path)
        threading.Thread(target=path.write_bytes, args=[content], daemon=True).start()
        return str(path)

    return make


def test_what_comes_once_is_kept_beside_the_text(pipe, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"file\n")
    with open(file, "rb") as opened:
        # As a shell hands it over by `3<a.txt`: the number is another file in the next process.
        number = f"/dev/fd/{opened.fileno()}"
        text = read_text([file, pipe("x", b"1\n"), number, pipe("y", b"2\n")], keep=True)
    assert text.decode() == "file\n1\nfile\n2\n" and text.name == "a"
    assert text.sources == (str(file), "-", "-2", "-3")
    kept = {name: (spool.seek(0), spool.read())[1] for name, spool in text.kept.items()}
    assert kept == {"-": b"1\n", "-2": b"file\n", "-3": b"2\n"}
    run = Run(tmp_path / "run")
    again = [str(file), *(str(run.path / f"stdin{number}.txt") for number in ("", "-2", "-3"))]
    assert run.found_again(text.sources) == again
    # What a checkpoint of a stranger says leads nowhere else.
    assert run.found_again(["-/../../etc/passwd"]) == ["-/../../etc/passwd"]


def test_a_text_from_a_pipe_is_called_as_one_from_stdin(pipe):
    text = read_text([pipe("x", b"1\n")])
    assert (text.name, text.sources, text.kept) == ("stdin", ("-",), {})
    assert all(map(comes_once, ("-", "/dev/stdin", "/dev/null", "/proc/self/fd/9")))


def test_a_pattern_passes_pipes_over(books):
    os.mkfifo(books / "z.txt")
    assert names(books / "*.txt") == ["a.txt", "f.txt"] and not comes_once(str(books / "*.txt"))


@pytest.mark.parametrize("command", ["vocab -", "eval small -", "eval small /dev/stdin", "sample small -n 1 --prime -"])
def test_one_ctrl_d_ends_a_text_that_is_typed(command, small):
    terminal = Terminal()
    words = [COMMAND, *command.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=small, stdin=terminal.descriptor, **pipes) as process:
        os.write(terminal.keyboard, b"bad\ncafe\n\x04")
        try:
            out, said = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    terminal.close()
    assert (process.returncode, said) == (0, b"Reading the text from the terminal; Ctrl-D ends it.\n")
    assert out


def test_a_text_that_is_not_typed_needs_no_word(small):
    assert charrnn_in(small, "vocab", "-", stdin=b"bad\ncafe\n").stderr == ""


def test_patterns_for_folders_need_a_folder(books, monkeypatch):
    monkeypatch.chdir(books)
    for sources in (["deep"], ["a.txt", "deep"], ["d*"], ["[a-d]*"], ["missing"], ["a.txt", "missing"]):
        check_include(["*.txt"], sources)
    for sources in (["a.txt"], ["a.txt", "c.md"], ["-"], ["*.txt"], ["**"], ["nothing*"]):
        with pytest.raises(CharRNNError, match="`include` has no effect"):
            check_include(["*.txt"], sources)
        check_include([], sources)


def test_files_that_are_passed_over_are_named(tmp_path):
    for name in ("a.txt", "b.png", "c.bin", "d.bin", "e.bin", "empty"):
        (tmp_path / name).write_bytes({"t": b"text", "y": b""}.get(name[-1], b"\0\1"))
    (notice,) = read_text([str(tmp_path)]).notices
    assert (
        notice == f"Skipped files that are not text: {tmp_path}/b.png, {tmp_path}/c.bin, {tmp_path}/d.bin and 1 more."
    )
    for name in "bcde":
        next(tmp_path.glob(f"{name}.*")).unlink()
    assert read_text([str(tmp_path)]).notices == ()


def test_a_file_in_another_encoding_than_those_before_it(tmp_path):
    (tmp_path / "1.txt").write_text("naïve “quotes”")
    (tmp_path / "2.txt").write_bytes("naïve “quotes”".encode("cp1252"))
    with pytest.raises(CharRNNError) as caught:
        read_text([str(tmp_path)])
    assert (
        "The files before it are in UTF-8" in caught.value.hint and "iconv -f ENCODING -t utf-8 " in caught.value.hint
    )
    assert "If all files have it: Name its encoding (for example `encoding='cp1252'`)." in caught.value.hint
    with pytest.raises(CharRNNError) as caught:
        read_text([str(tmp_path / "2.txt")])
    assert "iconv" not in caught.value.hint


def test_many_nulls_are_told(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("Привет, мир\n".encode("utf-16-le") * 9)
    (notice,) = read_text([path]).notices
    assert "characters are NUL" in notice and "`encoding='utf-16-le'`" in notice
    assert read_text([path], TextConfig(encoding="utf-16-le")).notices == ()
    assert read_text([path], TextConfig(bytes=True)).notices == ()
    path.write_bytes(b"a single \0 is no sign")
    assert read_text([path]).notices == ()
