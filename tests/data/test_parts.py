"""Parts of a text: their ids and documents, and the split into training, validation and test parts."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import TextConfig, TrainConfig
from charrnn.data import parts, splits
from charrnn.data.corpus import as_ids
from charrnn.data.documents import select_documents
from charrnn.data.parts import Part, select
from charrnn.data.splits import split
from charrnn.errors import CharRNNError
from charrnn.text import cache
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary

LINE_END = 9


def files(documents, **more) -> Part:
    """Return a text of documents that are files: lists of codes, none empty."""
    lengths = [len(document) for document in documents]
    return Part(np.array([*chain(*documents)], np.uint8), starts=np.cumsum([0, *lengths[:-1]]), **more)


def lines(documents) -> Part:
    """Return a text of documents that are lines; each gets its end."""
    return Part(
        np.array([*chain(*([*line, LINE_END] for line in documents))], np.uint8), line_end=LINE_END, resets=True
    )


def documents_of(part: Part) -> list[list[int]]:
    """Return the codes of each document, found the plainest way."""
    begins = [place for place in range(len(part)) if part.begins(np.array([place]))[0]]
    return [part.codes[low:high].tolist() for low, high in pairwise([*begins, len(part)])] if begins else []


@pytest.fixture(autouse=True)
def everything_in_small_pieces(monkeypatch, tmp_path):
    """Go through texts 7 characters at a time, and put what is longer than 100 bytes on disk."""
    for module in (parts, splits):
        monkeypatch.setattr(module, "BLOCK", 7)
    monkeypatch.setattr(cache, "IN_MEMORY", 100)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))


codes = st.integers(0, LINE_END - 1)
file_texts = st.lists(st.lists(codes, min_size=1, max_size=30), min_size=1, max_size=12).map(files)
line_texts = st.lists(st.lists(codes, max_size=30), min_size=1, max_size=12).map(lines)
texts = file_texts | line_texts


# --- Ids and documents ---


@given(texts, st.data())
def test_ids_are_made_of_codes_by_the_table(text, data):
    table = np.random.default_rng(0).permutation(300)[:10].astype(np.int32)
    part = Part(text.codes, table)
    assert part.ids().dtype == text.ids().dtype == np.int32
    assert part.ids().tolist() == table[text.codes].tolist() and text.ids().tolist() == text.codes.tolist()
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(text) + 3)] * 2)))
    assert part.ids(low, high).tolist() == table[text.codes[low:high]].tolist()
    places = np.array(data.draw(st.lists(st.integers(-1, len(text) - 1), max_size=5)), int).reshape(-1, 1)
    assert part.at(places).shape == places.shape and part.at(places).dtype == np.int32
    assert part.at(places)[:, 0].tolist() == [table[text.codes[place]] for place in places[:, 0]]


@given(texts)
def test_where_documents_begin(text):
    if text.line_end is None:
        expected = text.starts.tolist()
    else:
        expected = [0, *(np.flatnonzero(text.codes == LINE_END) + 1).tolist()][:-1]
    places = np.arange(len(text))
    assert np.flatnonzero(text.begins(places)).tolist() == expected
    assert (text.begins(places[:, None])[:, 0] == text.begins(places)).all()
    assert (text.begins(places[::-1]) == text.begins(places)[::-1]).all()


def test_a_text_without_documents_is_one():
    for part in (Part(np.arange(9)), Part(np.arange(9), starts=np.zeros(0, int))):
        assert part.begins(np.arange(9)).tolist() == [True] + [False] * 8


@given(texts, st.data())
def test_a_cut_is_that_stretch_and_begins_a_document(text, data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    part = text.cut(low, high)
    assert part.codes.tolist() == text.codes[low:high].tolist()
    assert (part.line_end, part.resets) == (text.line_end, text.resets)
    assert part.begins(np.arange(high - low)).tolist() == [
        place == low or bool(text.begins(np.array([place]))[0]) for place in range(low, high)
    ]
    # A cut of a cut.
    middle = (high - low) // 2
    assert documents_of(part.cut(middle, high - low)) == documents_of(text.cut(low + middle, high))
    assert [bounds for block in part.blocks() for bounds in range(*block)] == list(range(high - low))


# --- What is selected ---


@given(texts, st.integers(0, 2**32))
def test_characters_are_selected_and_documents_keep_their_beginnings(text, seed):
    wanted = np.random.default_rng(seed).random(len(text)) < 0.5
    if text.line_end is not None:
        wanted |= text.codes == LINE_END
    found = select(text, lambda low, high: wanted[low:high])
    places = np.concatenate([np.flatnonzero(text.begins(np.arange(len(text)))), [len(text)]])
    expected = [text.codes[low:high][wanted[low:high]].tolist() for low, high in pairwise(places)]
    # A document of which nothing is left is no document.
    assert documents_of(found) == [document for document in expected if document]
    assert found.codes.dtype == text.codes.dtype
    if found.starts is not None:
        assert (np.diff(found.starts) > 0).all() and (found.starts < len(found)).all()


@given(texts, st.lists(st.booleans(), min_size=12, max_size=12))
def test_documents_are_selected_whole(text, choices):
    left = list(choices)

    def choose(n):
        chosen, left[:n] = left[:n], []
        return np.array(chosen, bool)

    every = documents_of(text)
    found = select_documents(text, choose)
    assert documents_of(found) == [document for document, chosen in zip(every, choices, strict=False) if chosen]
    assert len(left) == 12 - len(every), "each document is asked about once"


# --- The tail ---


@given(st.integers(2, 500), st.integers(0, 60), st.integers(0, 39))
def test_the_tail_has_a_test_part_behind_the_validation_part(n, val, test):
    config = TrainConfig(val=val / 100, test=test / 100)
    first, second = n * (100 - val - test) // 100, n * (100 - test) // 100
    if not first:
        with pytest.raises(CharRNNError, match="too few"):
            split(Part(np.arange(n)), config)
        return
    found = split(Part(np.arange(n)), config)
    assert found.train.ids().tolist() == list(range(first))
    assert [part.ids().tolist() for part in found.val] == [list(range(first, second))] * (first < second)
    assert [part.ids().tolist() for part in found.test] == [list(range(second, n))] * (second < n)


@given(file_texts, st.integers(1, 90))
def test_the_tail_knows_its_documents(text, percent):
    cut = len(text) * (100 - percent) // 100
    if cut:
        found = split(text, TrainConfig(val=percent / 100))
        assert documents_of(found.train) == documents_of(text.cut(0, cut))
        assert documents_of(found.val[0]) == documents_of(text.cut(cut, len(text)))


@given(
    st.lists(st.lists(codes, max_size=5), min_size=2, max_size=30).map(lines), st.integers(1, 60), st.integers(0, 30)
)
def test_the_tail_begins_with_a_line(text, val, test):
    """No line is longer than a block here; each bound is the first beginning of a line from the exact place on."""
    ends = (np.flatnonzero(text.codes == LINE_END) + 1).tolist()
    n = len(text)
    places = [n * (100 - val - test) // 100, n * (100 - test) // 100]
    first, second = (
        place if place in (0, n) else next((end for end in [0, *ends] if place <= end < n), place) for place in places
    )
    if not first:
        return
    found = split(text, TrainConfig(val=val / 100, test=test / 100))
    assert found.train.codes.tolist() == text.codes[:first].tolist()
    assert [part.codes.tolist() for part in found.val] == [text.codes[first:second].tolist()] * (first < second)
    assert [part.codes.tolist() for part in found.test] == [text.codes[second:].tolist()] * (second < n)
    if first in ends and second in ends:
        assert [*chain(*map(documents_of, (found.train, *found.val, *found.test)))] == documents_of(text)


def test_the_beginning_of_a_line_far_away_is_not_waited_for():
    text = lines([[1] * 50, [2] * 45, [3] * 2])
    assert split(text, TrainConfig(val=0.5)).train.codes.tolist() == [*[1] * 50, LINE_END], "51 of 100 is a line's end"
    assert len(split(text, TrainConfig(val=0.4)).train) == 60


# --- Whole documents ---


def spread(found) -> list[list[list[int]]]:
    return [
        [document for part in group for document in documents_of(part)]
        for group in ((found.train,), found.val, found.test)
    ]


def marked(number: int, length: int) -> list[int]:
    """Return a document that tells its number."""
    return [number // 8, number % 8, *[number % 5] * length]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=16, max_size=60), st.integers(0, 2**63 - 1), st.booleans(), st.booleans())
def test_every_document_is_whole_and_in_one_part(lengths, seed, by_lines, tested):
    every = [marked(number, length) for number, length in enumerate(lengths)]
    text = lines(every) if by_lines else files(every)
    config = TrainConfig(split="documents", val=0.2, test=0.2 * tested, seed=seed)
    found = split(text, config)
    train, val, test = spread(found)
    whole = documents_of(text)
    assert sorted(train + val + test) == sorted(whole) and val
    # In the order of the text.
    assert [sorted(group, key=whole.index) for group in (train, val, test)] == [train, val, test]
    # The same again, however the text is gone through.
    for block in (1, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "BLOCK", block)
            assert spread(split(text, config)) == [train, val, test]


def test_documents_are_drawn_by_the_seed_in_these_shares():
    text = files([[n // 250, n // 25 % 10, n % 25] for n in range(2000)])
    found = [split(text, TrainConfig(split="documents", val=0.2, test=0.3, seed=seed)) for seed in (0, 0, 1)]
    assert spread(found[0]) == spread(found[1]) != spread(found[2])
    for one in found:
        train, val, test = map(len, spread(one))
        # Four standard deviations of a binomial of 2000.
        assert abs(val - 400) < 72 and abs(test - 600) < 82 and train == 2000 - val - test


def test_the_draw_is_pinned():
    # A run that is resumed after an upgrade must go on with the same training part.
    text = lines([[n // 8, n % 8] for n in range(40)])
    train, val, test = spread(split(text, TrainConfig(split="documents", val=0.1, test=0.1, seed=7)))
    assert [[8 * a + b for a, b, _ in group] for group in (val, test)] == [[1, 10, 14, 32], [19, 27, 31, 37]]
    assert len(train) == 32


def test_at_least_one_document_validates_tests_and_trains():
    text = files([marked(number, 3) for number in range(5)])
    for seed in range(60):
        for val, test in ((0.001, 0.0), (0.0, 0.001), (0.001, 0.001), (0.6, 0.39)):
            config = TrainConfig(split="documents", val=val, test=test, seed=seed)
            try:
                found = spread(split(text, config))
            except CharRNNError as error:
                assert "no document to test with" in error.message and val == 0.6
                continue
            # A share that is asked for is never nothing, and one that is not is.
            assert [bool(part) for part in found] == [True, val > 0, test > 0]
            if val + test < 0.01:
                assert (len(found[1]), len(found[2])) == (int(val > 0), int(test > 0))
    found = split(text, TrainConfig(split="documents", val=0.0))
    assert (found.val, found.test, len(found.train)) == ((), (), len(text))


@pytest.mark.parametrize("text", [files([[1, 2, 3] * 30]), lines([[1] * 200]), Part(np.arange(90))])
def test_one_document_cannot_be_split(text):
    with pytest.raises(CharRNNError, match="needs 2 documents or more") as caught:
        split(text, TrainConfig(split="documents"))
    assert "`one_per_line=True`" in caught.value.hint


# --- The split of char-rnn ---


def test_the_split_of_char_rnn_with_lines():
    text = lines([[n % 8] * 3 for n in range(100)])
    found = split(text, TrainConfig(split="char-rnn", batch=4))
    assert [len(part) for part in (found.train, *found.val)] == [380, 5, 5, 5, 5]
    assert found.train.ids().tolist() == text.codes.reshape(4, 100)[:, :95].reshape(-1).tolist()
    assert all(part.resets and part.line_end == LINE_END for part in (found.train, *found.val))


def test_the_split_of_char_rnn_knows_no_files_at_which_to_forget():
    with pytest.raises(CharRNNError, match="does not work with documents"):
        split(files([[1] * 100, [2] * 100], resets=True), TrainConfig(split="char-rnn", batch=2))
    found = split(files([[1] * 100, [2] * 100]), TrainConfig(split="char-rnn", batch=2))
    assert found.train.starts is None and found.val[0].starts is None


# --- Of real texts ---


@pytest.fixture
def folder(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.txt").write_bytes(f"{chr(97 + number)}{'xyz' * number}\nend ☞\n".encode())
    return tmp_path


@pytest.mark.parametrize("separator", [None, "\x1e", "\n"])
def test_documents_of_files_are_the_files(folder, separator):
    config = TextConfig(separator=separator, reset_at_documents=True)
    text = read_text([folder], config)
    whole = as_ids(text, Vocabulary.of(text.symbols))
    expected = [path.read_text() + (separator or "") for path in sorted(folder.glob("*.txt"))]
    assert [text.decode(*bounds) for bounds in pairwise([*text.starts.tolist(), len(text)])] == expected
    found = split(whole.part, TrainConfig(split="documents", val=0.3, test=0.2, seed=3))
    decoded = []
    for part in (found.train, *found.val, *found.test):
        assert part.resets
        decoded += [whole.vocab.decode(part.cut(*bounds).ids()) for bounds in pairwise([*part.starts, len(part)])]
    assert sorted(decoded) == sorted(expected)


def test_lines_are_ended_where_a_file_does_not(tmp_path):
    for name, content in (("a", b"one\ntwo"), ("b", b"three\n\n"), ("c", b"\xef\xbb\xbf"), ("d", b"four")):
        (tmp_path / name).write_bytes(content)
    text = read_text([tmp_path], TextConfig(one_per_line=True))
    assert text.decode() == "one\ntwo\nthree\n\nfour\n"
    assert [path.rpartition("/")[2] for path in text.names] == ["a", "b", "d"]
    part = as_ids(text, Vocabulary.of(text.symbols)).part
    assert np.flatnonzero(part.begins(np.arange(len(text)))).tolist() == [0, 4, 8, 14, 15]


def test_unknown_characters_are_left_out_or_replaced_in_their_documents(folder):
    text = read_text([folder], TextConfig(reset_at_documents=True))
    known = Vocabulary.of("abcdxyz\n en")
    left_out = as_ids(text, known, "skip")
    kept = ["".join(c for c in path.read_text() if c in known.symbols) for path in sorted(folder.glob("*.txt"))]
    assert known.decode(left_out.part.ids()) == "".join(kept)
    assert left_out.part.starts.tolist() == np.cumsum([0, *map(len, kept[:-1])]).tolist()
    replaced = as_ids(text, Vocabulary(known.symbols, has_unknown=True))
    assert len(replaced.part) == len(text) and replaced.part.starts is text.starts
    assert replaced.vocab.decode(replaced.part.ids()) == "".join(
        c if c in known.symbols else "\ufffd" for c in text.decode()
    )
    assert "read as one unknown symbol" in replaced.text.notices[-1]
    with pytest.raises(CharRNNError, match="Nothing is left"):
        as_ids(text, Vocabulary.of("Z"), "skip")


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_places_of_characters(folder, monkeypatch, block):
    text = read_text([folder])
    monkeypatch.setattr("charrnn.text.text.BLOCK", block)
    expected: dict[str, list[str]] = {"z": [], "\n": [], "☞": [], "?": [], "a": []}
    for path in sorted(folder.glob("*.txt")):
        for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
            for column, character in enumerate(line, 1):
                if character in expected:
                    expected[character].append(f"{path}:{number}:{column}")
    assert [len(places) for places in expected.values()] == [66, 24, 12, 0, 1]
    for limit in (1, 2, 12, 65, 1000):
        assert text.places(expected, limit) == {letter: places[:limit] for letter, places in expected.items()}
    assert text.places("", 3) == {} and text.places("?", 3) == {"?": []}
