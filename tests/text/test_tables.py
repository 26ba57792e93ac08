"""Records, of which one field is read: lines of JSON, tables with commas, semicolons or tabs."""

import csv
import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import RECORD_END, TextConfig, with_records
from charrnn.errors import CharRNNError
from charrnn.text.reader import read_text
from charrnn.text.tables import Table

TEXTS = ["one", 'two\n\nlines, "quoted"', "tab\there; \u00e9\u2028x\r\ny", "  ", "☞😀", '"']


def read(name, **settings):
    return read_text([name], with_records(TextConfig(field="text", **settings)))


def documents(text) -> list[str]:
    bounds = [*text.begins.tolist(), len(text)]
    return [text.decode(low, high) for low, high in pairwise(bounds)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table_of(texts, name, delimiter=",", encoding="utf-8", **form) -> None:
    with open(name, "w", newline="", encoding=encoding) as file:
        rows = csv.writer(file, delimiter=delimiter, **form)
        rows.writerows([["id", "text", "note"], *([n, text, ""] for n, text in enumerate(texts))])


def test_each_record_is_a_document_line_breaks_and_all(here):
    (here / "a.jsonl").write_text("".join(json.dumps({"id": 1, "text": text}) + "\n" for text in TEXTS))
    (here / "b.NDJSON").write_text("\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS))
    table_of(TEXTS, "c.csv", encoding="utf-8-sig")
    table_of(TEXTS, "d.tsv", "\t", lineterminator="\n")
    table_of(TEXTS, "e.csv", ";")
    (here / "f.csv.gz").write_bytes(gzip.compress((here / "c.csv").read_bytes()))
    expected = [text + RECORD_END for text in TEXTS]
    for name in ("a.jsonl", "b.NDJSON", "c.csv", "d.tsv", "e.csv", "f.csv.gz"):
        text = read(name)
        assert (documents(text), text.notices) == (expected, ()), name
        # Of the file only the texts count.
        assert text.byte_count == sum(len(text.encode()) for text in TEXTS)
    assert documents(read("c.csv", lower=True, newlines="lf"))[2] == "tab\there; é\u2028x\ny\x1e"
    raw = documents(read("a.jsonl", bytes=True))
    assert [one.encode("latin-1") for one in raw] == [one.encode() for one in expected]
    latin = [text for text in TEXTS if text.isascii()]
    table_of(["é", *latin], "g.csv", encoding="latin-1")
    assert documents(read("g.csv", encoding="latin-1"))[0] == "é\x1e"


def test_what_is_said_of_documents_holds_for_each_record(here):
    (here / "a.jsonl").write_text('{"text": "a\\n\\nb"}\n{"text": "c\\n"}\n{"text": ""}\n')

    def text(**settings) -> str:
        return read("a.jsonl", **settings).decode()

    assert text(documents_between="\n\n") == "a\n\nb\n\nc\n\n"
    assert documents(read("a.jsonl", documents_between="\n\n")) == ["a\n\n", "b\n\n", "c\n\n"]
    assert text(one_per_line=True) == "a\n\nb\nc\n" and read("a.jsonl", one_per_line=True).begins is None
    assert text(separator="|", reset_at_documents=True) == "a\n\nb|c\n|"
    assert documents(read("a.jsonl", reset_at_documents=True)) == ["a\n\nb", "c\n"]
    # A model of one stream reads each on lines of its own.
    assert read_text(["a.jsonl"], TextConfig(field="text")).decode() == "a\n\nb\nc\n"


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5), st.integers(1, 40))
def test_how_a_file_comes_in_blocks_makes_no_difference(texts, size):
    texts = [text.replace("\0", "") or "x" for text in texts]
    table = "text,id\n" + "".join('"' + text.replace('"', '""') + '",1\n' for text in texts)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    for name, data in (("a.csv", table.encode("utf-8")), ("a.jsonl", lines.encode())):
        found = Table(TextConfig(field="text"), name)
        blocks = (data[low : low + size] for low in range(0, len(data), size))
        assert (list(found.texts(blocks)), found.notices) == (texts, []), name


def test_half_a_character_of_json_is_replaced(here):
    (here / "a.jsonl").write_text(r'{"text": "a\ud800b \ud83d\ude00"}')
    assert documents(read("a.jsonl")) == ["a\ufffdb 😀\x1e"]
    (here / "a.jsonl").write_text(r'{"text": "\udc00\ud800é\udfff"}')
    assert documents(read("a.jsonl")) == ["\ufffd\ufffdé\ufffd\x1e"]
    # UTF-7 is an encoding that can have one.
    (here / "a.csv").write_bytes(b"text\na+2AA-b\n")
    assert documents(read("a.csv", encoding="utf-7")) == ["a\ufffdb\x1e"]


def test_a_long_field_is_read(here):
    table_of(["x" * 400_000, "y"], "a.csv")
    assert len(read("a.csv")) == 400_001 + 2


def test_records_without_a_text_are_skipped_and_told(here):
    rows = ['{"text": "a"}', '{"txt": "b", "n": 1}', "", '{"text": null}', '{"text": 3}', "broken", "[1]", "3"]
    (here / "a.jsonl").write_text("\n".join(rows))
    text = read("a.jsonl")
    assert documents(text) == ["a\x1e"]
    assert text.notices == (
        "6 of 7 records of a.jsonl have no text under 'text', and are skipped. The first: a.jsonl:2 has no member "
        "'text', only txt, n.",
    )
    (here / "b.csv").write_text('id,text\n1,"two\nlines"\n\n2\n3,c\n')
    assert documents(read("b.csv")) == ["two\nlines\x1e", "c\x1e"]
    assert "1 of 3 records of b.csv has no text" in read("b.csv").notices[0]
    assert "The first: b.csv:5 has only 1 of 2 columns." in read("b.csv").notices[0]


def test_of_a_folder_what_holds_no_records_is_skipped(here):
    (here / "many").mkdir()
    (here / "many" / "a.jsonl").write_text('{"text": "a"}')
    (here / "many" / "readme.md").write_text("no records")
    assert documents(read("many")) == ["a\x1e"]
    assert read("many").notices == ("Skipped files that are not records: many/readme.md.",)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "text", "a.txt does not show the form of its records; `field='text'` reads .jsonl"),
        ("a.gz", "text", "does not show the form"),
        ("a.json", "[]", "jq -c"),
        ("a.jsonl", '{"txet": "a"}', "No record has a text under 'text': a.jsonl:1 has no member 'text', only txet."),
        ("a.jsonl", "\nwhat", "a.jsonl:2 is not a JSON object, but `field` needs one"),
        ("a.jsonl", '{"text": ""}', "All texts under 'text' are empty."),
        ("a.jsonl", '{"text": ""}\n{"txet": "a"}', "All texts under 'text' are empty."),
        ("a.jsonl", '{"text": "\x1e"}'.replace("\x1e", "\\u001e"), "has nothing but markers"),
        ("a.csv", "id,text\n1,\n", "All texts under 'text' are empty."),
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "id,text\n", "No record has a text under 'text'."),
        ("a.csv", "id,tekst\n1,a\n", "a.csv has no column 'text', only id, tekst. Did you mean tekst?"),
        ("a.csv", "id,note\n1,a\n", "only id, note. The first line names the columns."),
        ("a.csv", 'text\na\n"b\nc\n', "a.csv:3 is not a record of a table: unexpected end of data."),
        ("a.csv", 'text\na\n"b" c\n', "a.csv:3 is not a record of a table"),
        ("a.csv", b"text\n\xff\n", "a.csv is not UTF-8: byte 0xff at offset 5, line 2."),
    ],
)
def test_what_cannot_be_read_is_told_in_plain_words(name, content, said, here):
    (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CharRNNError) as error:
        read(name)
    assert said in str(error.value)


def test_stdin_has_no_name(monkeypatch):
    with pytest.raises(CharRNNError, match="stdin has no name that shows the form of its records"):
        read("-")
