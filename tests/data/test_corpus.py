import hashlib
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import TrainConfig
from charrnn.data.batches import Streams, fit_batch
from charrnn.data.corpus import as_ids
from charrnn.data.parts import Part
from charrnn.data.splits import split
from charrnn.errors import CharRNNError
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def feed(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


# --- Reading text ---


def test_text_is_exactly_what_the_bytes_say(tmp_path):
    content = "a\r\nb\rc\n\x00é\u2028\U0001f600\ufeff".encode()
    path = write(tmp_path / "odd.txt", content)
    text = read_text([path])
    assert text.decode().encode() == content
    assert (text.sha256, text.byte_count) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (text.sources, text.name) == ((str(path),), "odd")


def test_several_sources_are_concatenated(tmp_path, monkeypatch):
    one, two = write(tmp_path / "one.txt", b"ab"), write(tmp_path / "two.txt", b"c\n")
    feed(monkeypatch, "dé".encode())
    text = read_text([two, "-", one])
    assert text.decode() == "c\ndéab" and text.codes.dtype == np.uint8
    assert text.sha256 == hashlib.sha256("c\ndéab".encode()).hexdigest()
    assert (text.byte_count, len(text)) == (7, 6)
    assert (text.sources, text.name) == ((str(two), "-", str(one)), "two")
    assert (text.names, text.starts.tolist()) == ((str(two), "stdin", str(one)), [0, 2, 4])


def test_sources_are_absolute_paths(tmp_path, monkeypatch):
    write(tmp_path / "deep" / "a.txt", b"a")
    monkeypatch.chdir(tmp_path / "deep")
    assert read_text(["a.txt"]).sources == (str(tmp_path / "deep" / "a.txt"),)
    folder = read_text(["."])
    assert (folder.sources, folder.name) == ((str(tmp_path / "deep"),), "deep")


def test_stdin_alone(monkeypatch):
    feed(monkeypatch, b"piped\r\n")
    text = read_text(["-"])
    assert (text.decode(), text.sources, text.name) == ("piped\r\n", ("-",), "stdin")


def test_a_folder_gives_its_text_files_in_sorted_order(tmp_path):
    write(tmp_path / "b.txt", b"2")
    write(tmp_path / "a" / "z.txt", b"1")
    write(tmp_path / "c" / "c" / "1", b"3")
    write(tmp_path / "empty.txt", b"")
    write(tmp_path / ".hidden", b"no")
    write(tmp_path / ".git" / "config", b"no")
    write(tmp_path / "d.png", b"\x89PNG" + b"x" * 8000 + b"\0 \xff")
    write(tmp_path / "e.txt", b"4" * 8192 + b"\0")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert read_text([tmp_path]).decode() == "123" + "4" * 8192 + "\0"


def test_a_run_in_the_folder_is_no_part_of_its_text(tmp_path):
    """`charrnn train .` puts one there; its log must not change the text when the run is resumed."""
    write(tmp_path / "a.txt", b"text")
    write(tmp_path / "checkpoints" / "a" / "metrics.jsonl", b"{}")
    write(tmp_path / "checkpoints" / "a" / "step-00000001.safetensors", b"\0")
    write(tmp_path / "z" / "metrics.jsonl", b"ours")
    assert read_text([tmp_path]).decode() == "textours"


def test_a_hidden_folder_is_read_when_it_is_named(tmp_path):
    write(tmp_path / ".notes" / "a.txt", b"a")
    assert read_text([tmp_path / ".notes"]).decode() == "a"
    assert read_text([tmp_path / ".notes"]).name == "notes"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plain.txt", "plain"),
        ("my book (2nd).utf8.txt", "my-book-2nd-.utf8"),
        ("Война и мир.txt", "Война-и-мир"),
        (".profile", "profile"),
        ("$$$", "corpus"),
        ("x" * 200, "x" * 50),
    ],
)
def test_a_name_is_safe_as_a_file_name(tmp_path, file, name):
    assert read_text([write(tmp_path / file, b"a")]).name == name


def test_a_given_vocabulary_is_used(tmp_path):
    vocab = Vocabulary.of("abcxyz")
    corpus = as_ids(read_text([write(tmp_path / "a.txt", b"zb")]), vocab)
    assert corpus.vocab is vocab
    assert corpus.part.ids().tolist() == [5, 1]


def test_a_vocabulary_that_does_not_fit_names_the_file(tmp_path):
    write(tmp_path / "1.txt", b"abc\nabc\n")
    write(tmp_path / "2.txt", b"ab\na!")
    with pytest.raises(CharRNNError, match=r"'!' \(U\+0021\) x 1, first at .*2\.txt:2:2"):
        as_ids(read_text([tmp_path]), Vocabulary.of("abc\n"))


@given(st.lists(st.text("ab\n", min_size=1, max_size=12), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 7))
def test_places_are_those_of_a_plain_search(contents, limit, block):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn.text.text.BLOCK", block)
        paths = [write(Path(folder) / f"{number}", content.encode()) for number, content in enumerate(contents)]
        found = read_text(paths).places("ba", limit)
    for character in "ab":
        plain = [
            f"{path}:{1 + content.count(chr(10), 0, place)}:{place - content.rfind(chr(10), 0, place)}"
            for path, content in zip(paths, contents, strict=True)
            for place, there in enumerate(content)
            if there == character
        ]
        assert found[character] == plain[:limit]


# --- Text that cannot be read ---


def test_a_missing_file(tmp_path):
    with pytest.raises(CharRNNError, match=r"nothing\.txt does not exist") as caught:
        read_text([tmp_path / "nothing.txt"])
    assert "charrnn corpus" in caught.value.hint


def test_an_empty_file_is_named(tmp_path):
    full, empty = write(tmp_path / "full.txt", b"a"), write(tmp_path / "empty.txt", b"")
    with pytest.raises(CharRNNError, match=r"empty\.txt is empty"):
        read_text([full, empty])


def test_empty_stdin(monkeypatch):
    feed(monkeypatch, b"")
    with pytest.raises(CharRNNError, match="stdin is empty"):
        read_text(["-"])


def test_no_source():
    with pytest.raises(CharRNNError, match="No text"):
        read_text([])


@pytest.mark.parametrize("content", [None, b"", b"\0binary"])
def test_a_folder_without_text(tmp_path, content):
    if content is not None:
        write(tmp_path / "a.bin", content)
    with pytest.raises(CharRNNError, match="has no text file"):
        read_text([tmp_path])


def test_an_unreadable_file(tmp_path, monkeypatch):
    path = write(tmp_path / "secret.txt", b"a")
    refused = []

    # The tests may run as root, whom no permission stops.
    def refuse(path, mode):
        refused.append(path)
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("charrnn.text.sources.open", refuse, raising=False)
    with pytest.raises(CharRNNError, match=r"secret\.txt cannot be read: Permission denied"):
        read_text([path])
    assert refused == [path]


def test_an_unreadable_folder_is_not_left_out(tmp_path, monkeypatch):
    write(tmp_path / "a.txt", b"a")
    refused = []

    def refuse(path):
        refused.append(path)
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(CharRNNError, match="cannot be read: Permission denied"):
        read_text([tmp_path])
    assert refused


def test_undecodable_bytes_are_named_with_their_place(tmp_path):
    path = write(tmp_path / "old.txt", "größer\nals\n".encode() + b"caf\xe9\n")
    with pytest.raises(CharRNNError) as caught:
        read_text([path])
    assert caught.value.message == f"{path} is not UTF-8: byte 0xe9 at offset 16, line 3."
    assert "`encoding='latin-1'`" in caught.value.hint


def test_utf16_is_recognised(tmp_path):
    text = read_text([write(tmp_path / "wide.txt", "wide".encode("utf-16"))])
    assert text.decode() == "wide" and "UTF-16" in text.notices[0]


# --- Training and validation parts ---


def test_the_tail_of_tiny_shakespeare():
    parts = split(Part(np.arange(1_115_394)), TrainConfig())
    assert len(parts.train) == 1_003_854
    assert [len(segment) for segment in parts.val] == [111_540]
    assert parts.val[0].ids(0, 1) == [1_003_854]
    assert parts.train.codes.base is parts.val[0].codes.base


@given(st.integers(2, 2000), st.integers(0, 99))
def test_the_tail_is_exact(n, percent):
    ids = np.arange(n)
    cut = n * (100 - percent) // 100
    if cut == 0:
        with pytest.raises(CharRNNError, match="too few"):
            split(Part(ids), TrainConfig(val=percent / 100))
    else:
        parts = split(Part(ids), TrainConfig(val=percent / 100))
        assert len(parts.train) == cut
        assert np.array_equal(np.concatenate([part.ids() for part in (parts.train, *parts.val)]), ids)


def test_no_validation():
    parts = split(Part(np.arange(10)), TrainConfig(val=0.0))
    assert (len(parts.train), parts.val) == (10, ())


def test_the_split_of_char_rnn():
    parts = split(Part(np.arange(3 * 100 + 2)), TrainConfig(split="char-rnn", batch=3))
    assert [segment.ids().tolist() for segment in parts.val] == [
        list(range(b * 100 + 95, b * 100 + 100)) for b in range(3)
    ]
    assert parts.train.ids().tolist() == [b * 100 + i for b in range(3) for i in range(95)]


@pytest.mark.parametrize(("n", "kind"), [(1, "tail"), (0, "tail"), (3, "char-rnn")])
def test_nothing_left_to_train_on(n, kind):
    with pytest.raises(CharRNNError, match="too few"):
        split(Part(np.zeros(n, np.uint8)), TrainConfig(split=kind, batch=4))


# --- The order of training ---


@given(st.integers(2, 5000), st.integers(1, 100), st.integers(1, 300))
def test_batches_are_shrunk_only_as_far_as_needed(n, batch, seq):
    fitted, window = fit_batch(n, batch, seq)
    assert 1 <= fitted <= batch
    assert 1 <= window <= seq
    assert n >= 2 * fitted * window
    if n >= 2 * batch * seq:
        assert (fitted, window) == (batch, seq)
    if window < seq:
        assert fitted == 1
        assert n < 2 * (window + 1)
    if fitted < batch:
        assert n < 2 * (2 * fitted + 1) * seq
    Streams(Part(np.zeros(n, np.uint8)), fitted, window, seed=0, start=1)


def test_examples_of_shrunk_batches():
    assert fit_batch(1_000_000, 64, 128) == (64, 128)
    assert fit_batch(16_384, 64, 128) == (64, 128)
    assert fit_batch(16_383, 64, 128) == (32, 128)
    assert fit_batch(200, 50, 128) == (1, 100)
    assert fit_batch(2, 50, 50) == (1, 1)
    assert fit_batch(3, 50, 50) == (1, 1)


def test_one_character_is_too_few():
    with pytest.raises(CharRNNError, match="at least 2 characters"):
        fit_batch(1, 50, 50)


def test_streams_that_do_not_fit():
    with pytest.raises(CharRNNError, match="has 99 characters; 10 streams of 10 need 100"):
        Streams(Part(np.zeros(99, np.uint8)), 10, 10, seed=0, start=1)


shapes = st.tuples(st.integers(2, 400), st.integers(1, 8), st.integers(1, 20)).filter(lambda s: s[0] >= s[1] * s[2])


@given(shapes, st.integers(0, 2**32), st.integers(0, 5))
def test_an_epoch_reads_each_character_at_most_once_in_order(shape, seed, epoch):
    n, batch, seq = shape
    # An id for each place, so that what was read tells where.
    streams = Streams(Part(np.arange(n, dtype=np.uint32)), batch, seq, seed, start=n)
    steps = streams.steps_per_epoch
    assert steps == n // batch // seq
    windows = [streams.window(epoch * steps + w) for w in range(steps)]
    for inputs, targets, *_ in windows:
        assert inputs.shape == targets.shape == (seq, batch)
        assert inputs.dtype == targets.dtype == np.int32
    inputs = np.concatenate([window.inputs for window in windows])
    targets = np.concatenate([window.targets for window in windows])
    assert len(np.unique(targets)) == targets.size
    assert np.array_equal(np.diff(targets, axis=0) % n, np.ones((steps * seq - 1, batch)))
    assert np.array_equal(np.diff(targets[0]) % n, np.full(batch - 1, n // batch % n))
    begins = targets == 0
    begins[0] = True
    assert np.array_equal(inputs == n, begins)
    assert np.array_equal(inputs[~begins], targets[~begins] - 1)
    assert [streams.starts(epoch * steps + w) for w in range(steps)] == [w == 0 for w in range(steps)]


def test_the_beginning_of_the_text_is_met_inside_a_window():
    # Otherwise the test above would not see the start symbol after the wrap-around.
    streams = Streams(Part(np.arange(300, dtype=np.uint16)), 3, 10, seed=1, start=300)
    inside = 0
    for step in range(20 * streams.steps_per_epoch):
        inputs, targets, *_ = streams.window(step)
        inside += int((targets[1:] == 0).sum())
        assert np.all(inputs[targets == 0] == 300)
    assert inside >= 10


def test_windows_are_pure_functions_of_the_step():
    ids = np.random.default_rng(0).integers(0, 65, 5000).astype(np.uint8)
    ascending = Streams(Part(ids), 8, 16, seed=3, start=65)
    other = Streams(Part(ids.copy()), 8, 16, seed=3, start=65)
    steps = range(3 * ascending.steps_per_epoch)
    seen = {step: ascending.window(step) for step in steps}
    for step in reversed(steps):
        inputs, targets, *_ = other.window(step)
        assert np.array_equal(inputs, seen[step][0])
        assert np.array_equal(targets, seen[step][1])


def test_offsets_differ_by_epoch_and_by_seed():
    n = 100_000
    offsets = set()
    for seed in range(4):
        streams = Streams(Part(np.arange(n, dtype=np.uint32)), 10, 100, seed, start=n)
        offsets |= {int(streams.window(epoch * streams.steps_per_epoch)[1][0, 0]) for epoch in range(25)}
    assert len(offsets) > 95
    # Spread over the whole ring, epoch 0 included.
    assert min(offsets) < n // 10
    assert max(offsets) > n - n // 10


def test_the_order_is_pinned():
    # A run that is resumed after an upgrade must go on with the same windows.
    streams = Streams(Part(np.arange(1000, dtype=np.uint16)), 4, 5, seed=7, start=1000)
    firsts = [streams.window(epoch * streams.steps_per_epoch)[1][0].tolist() for epoch in range(3)]
    assert firsts == [[692, 942, 192, 442], [573, 823, 73, 323], [725, 975, 225, 475]]
