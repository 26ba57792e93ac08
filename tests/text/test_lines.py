"""Lines as records: what splitting the whole text gives, however its bytes come; and members of JSON."""

import json
import os
import queue
import threading
import tracemalloc
from itertools import chain, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.config import DEFAULT_TEXT, TextConfig
from charrnn.errors import CharRNNError
from charrnn.text import lines as records
from charrnn.text.lines import json_object, member_of, portions, seen

# What lines are made of, and what other programs take for the end of one.
LETTERS = "ab☞é\u0301\U0001f600\ufeff \t\r\n\n\n\u2028\u0085\x0b\x0c\x1e"
RAW = TextConfig(bytes=True)


class Blocks:
    """Stands for a document whose bytes come in some blocks."""

    name = "a.txt"

    def __init__(self, blocks: list[bytes]):
        self.all = blocks

    def blocks(self, as_they_come: bool, raw: bool):
        done = 0
        for block in self.all:
            done += len(block)
            yield block, done


def lines_of(blocks: list[bytes], config: TextConfig = DEFAULT_TEXT) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "one_document", lambda source: Blocks([block for block in blocks if block]))
        return [line for some in records.lines("a.txt", config, as_they_come=True) for line in some]


def split(text: str) -> list[str]:
    """Return the lines of a text; the last may lack its end."""
    *lines, last = text.split("\n")
    return [*lines, last] if last else lines


texts = st.text(st.sampled_from(LETTERS), max_size=30)
places = st.lists(st.integers(0, 120), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(min(place, len(data)) for place in places)})
    return [data[low:high] for low, high in pairwise(bounds)]


# --- Lines ---


@given(texts, places, st.sampled_from(["keep", "lf"]))
@example("", [], "keep")
@example("\n\n", [1], "keep")
@example("a\r\nb\r\n", [1, 2, 3, 4], "lf")
def test_lines_are_those_of_the_whole_text(text, places, newlines):
    expected = split(text.removeprefix("\ufeff"))
    if newlines == "lf":
        expected = [line.removesuffix("\r") for line in expected]
    assert lines_of(cut(text.encode(), places), TextConfig(newlines=newlines)) == expected


def test_a_text_cut_at_every_place():
    text = "☞ a\r\n\n\U0001f600\0b\n\né"
    data = text.encode()
    for place in range(len(data)):
        assert lines_of([data[:place], data[place:]]) == ["☞ a\r", "", "\U0001f600\0b", "", "é"]
    assert lines_of([bytes([byte]) for byte in data]) == split(text)


@given(texts, places, st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-8"]))
def test_a_mark_tells_the_encoding(text, places, encoding):
    assert lines_of(cut(("\ufeff" + text).encode(encoding), places)) == split(text)


@given(st.text(st.sampled_from("abc \n"), max_size=40), places, st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf16_without_a_mark(text, places, encoding):
    # A line end among the first bytes would be waited for no longer.
    data = ("ab" + text).encode(encoding)
    assert lines_of(cut(data, places)) == split("ab" + text)
    named = TextConfig(encoding="utf-16")
    assert encoding == "utf-16-be" or lines_of(cut(data, places), named) == split("ab" + text)


@given(st.binary(max_size=60), places)
def test_lines_of_bytes(data, places):
    found = [line.encode("latin-1") for line in lines_of(cut(data, places), RAW)]
    *lines, last = data.split(b"\n")
    assert found == ([*lines, last] if last else lines)


@given(st.lists(st.sampled_from([b"a", b"\xff", b"\n", b"\xe2\x98", "☞".encode()]), max_size=20), places)
def test_invalid_bytes_are_replaced_as_in_the_whole(pieces, places):
    data = b"abcd" + b"".join(pieces)
    assert lines_of(cut(data, places), TextConfig(errors="replace")) == split(data.decode(errors="replace"))


def test_invalid_bytes_are_refused_with_their_line(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"a\nb\n\xff\n" + b"c\n" * 10)
    with pytest.raises(CharRNNError, match=r"bad\.txt is not UTF-8: byte 0xff at offset 4, line 3\."):
        list(portions(str(tmp_path / "bad.txt"), DEFAULT_TEXT))


def test_nothing_but_their_ends_is_taken_from_lines_before_they_are_seen():
    config = TextConfig(newlines="lf", normalize="nfc", lower=True)
    assert lines_of(["ÀE\u0301\r\nΑΣ\r\n".encode()], config) == ["ÀE\u0301", "ΑΣ"]
    assert [seen(line, config) for line in ("ÀE\u0301\r", "ΑΣ\r", "\r")] == ["àé", "ας", ""]
    assert seen("A\r", DEFAULT_TEXT) == "A\r"
    assert seen("Ã©\r", RAW) == "Ã©\r"


# --- Portions ---


@given(st.lists(st.text("ab☞", max_size=12), max_size=40), places, st.integers(1, 7), st.sampled_from([1, 10, 1000]))
def test_portions_are_the_lines_in_their_order(lines, places, most, characters):
    data = "".join(line + "\n" for line in lines).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "PORTION", most)
        patch.setattr(records, "CHARACTERS", characters)
        patch.setattr(records, "one_document", lambda source: Blocks([block for block in cut(data, places) if block]))
        found = list(portions("a.txt", DEFAULT_TEXT))
        piecemeal = list(portions("a.txt", DEFAULT_TEXT, as_they_come=True))
    assert [*chain(*found)] == [*chain(*piecemeal)] == lines
    for portion in [*found, *piecemeal]:
        assert 1 <= len(portion) <= most
        assert sum(map(len, portion[:-1])) <= characters
    # But for the last, each is as large as it may be.
    for portion in found[:-1]:
        assert len(portion) == most or sum(map(len, portion)) > characters


def test_many_lines_take_little_memory(tmp_path):
    with open(tmp_path / "many.txt", "w") as file:
        file.writelines(f"{number} green bottles\n" * 1000 for number in range(400))
    tracemalloc.start()
    count = sum(len(portion) for portion in portions(str(tmp_path / "many.txt"), DEFAULT_TEXT))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 400_000
    # The text is 8 MB, and as strings 26; a portion and two blocks of lines are 3.
    assert peak < 8e6


def test_a_line_in_very_many_pieces():
    """Were the line copied for each piece of it, this would move a terabyte."""
    pieces = [b"x" * 100] * 200_000
    assert [len(line) for line in lines_of([*pieces, b"\nab\n", *pieces[:10]])] == [20_000_000, 2, 1000]


@pytest.mark.parametrize(
    ("config", "encoding"),
    [(DEFAULT_TEXT, "utf-8"), (RAW, "utf-8"), (TextConfig(newlines="lf"), "utf-8"), (DEFAULT_TEXT, "utf-16")],
)
def test_a_line_comes_out_before_the_next_is_written(config, encoding, tmp_path):
    """The first are as short as can be; none waits for another, nor for what would tell the encoding more surely."""
    os.mkfifo(tmp_path / "fifo")
    came: queue.Queue = queue.Queue()

    def read() -> None:
        for portion in portions(str(tmp_path / "fifo"), config, as_they_come=True):
            came.put(portion)
        came.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    encoder = (lambda text: text.encode(encoding)) if encoding == "utf-8" else _utf16()
    with open(tmp_path / "fifo", "wb", buffering=0) as file:
        for line in ("a", "", "bc", "", "d" * 20_000, "e"):
            file.write(encoder(line + "\n"))
            portion = came.get(timeout=300)
            while sum(map(len, portion)) < len(line):
                portion += came.get(timeout=300)
            assert portion == [line]
        # Several that are there are taken together; the beginning of a line waits for its end.
        file.write(encoder("x\ny\nz"))
        assert came.get(timeout=300) == ["x", "y"]
        assert came.empty()
    assert came.get(timeout=300) == ["z"] and came.get(timeout=300) is None
    reader.join()


def _utf16():
    """Return what encodes pieces of a text, the first with a mark."""
    marks = iter(["\ufeff"])
    return lambda text: (next(marks, "") + text).encode("utf-16-le")


# --- Members of JSON ---


def text_in(line, name, config=DEFAULT_TEXT):
    member = member_of(json_object(line, config), name)
    return member and member.text(config)


def test_members_of_json():
    assert text_in('{"a": 1, "text": "x\\ny\\u263a☞"}', "text") == "x\ny☺☞"
    assert text_in('  {"text": ""}  \r', "text") == ""
    assert text_in(json.dumps({"é": "\U0001f600"}), "é") == "\U0001f600"
    # Half of a character can be spelt and nowhere written.
    assert text_in('{"t": "a\\ud83db\\ude00"}', "t") == "a\ufffdb\ufffd"


def test_members_for_a_model_of_bytes_are_bytes():
    for line in ('{"t": "\\u263a☞"}', '{"t": "☺☞"}'):
        raw = line.encode().decode("latin-1")
        assert text_in(raw, "t", RAW) == "☺☞".encode().decode("latin-1")
    assert json_object('{"t": "\xff"}', RAW) is None


@pytest.mark.parametrize(
    "line", ["", "text", '{"text": "a"', "[" * 100_000, "9" * 5000, "[1]", '"text"'], ids=lambda line: line[:10]
)
def test_what_is_no_object(line):
    assert json_object(line, DEFAULT_TEXT) is None and text_in(line, "text") is None


@pytest.mark.parametrize("line", ["{}", '{"text": 5}', '{"text": null, "b": "x"}', '{"text": ["x"]}'])
def test_an_object_without_the_text(line):
    members = json_object(line, DEFAULT_TEXT)
    assert {member.name: member.value for member in members} == json.loads(line) and text_in(line, "text") is None


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["1e400", "-0", "1.10", "12345678901234567890", "9" * 5000, "1E+2"],
        ['"\\ud800"', r'"\u0041\"{,:}"', '"☞"', '""'],
        ["[1,  2,{}]", '{"a": {"b" :[ ]}}', "null", "true", "NaN", "-Infinity", "[" * 500 + "]" * 500],
    ],
)
@pytest.mark.parametrize("between", ["", " ", "\t \r"])
def test_the_members_of_an_object_are_as_they_were_written(values, between):
    names = ['""', '"a"', '"\\u0061"', '"{,:"', '"é\\""', '"f"', '"g"']
    pairs = [f"{between}{name}{between}:{between}{value}{between}" for name, value in zip(names, values, strict=False)]
    line = between + "{" + between + ",".join(pairs) + "}" + between
    for text, config in ((line, DEFAULT_TEXT), (line.encode().decode("latin-1"), RAW)):
        members = json_object(text, config)
        assert [member.written for member in members] == values
        assert [json.dumps(member.name) for member in members] == [json.dumps(json.loads(n)) for n in names][
            : len(values)
        ]


def test_of_members_of_one_name_the_last_is_read():
    assert text_in('{"t": 3, "t": "a"}', "t") == "a" and text_in('{"t": "a", "t": null}', "t") is None
