import hashlib
import io
import json
import os
import random
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from charrnn import atomic as durable
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.runs import container as module
from charrnn.runs import tensors
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, read_header, serialise, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.runs.tensors import Kind
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

# Of the values in `golden`. A change here is a change of the format: the files of before must still be read.
GOLDEN_SHA256 = "6832f69508e32282c94dd3c15e50b19457d30374d24aa0e4e91da41285be3005"


def golden() -> Checkpoint:
    """Return a checkpoint of fixed values, with every part and several types."""
    return Checkpoint(
        model=ModelConfig(cell="gru", layers=1, units=3, embedding=2),
        vocab=Vocabulary(("\n", '"', "\\", "a", "é", "→", "😀")),
        weights={
            "output/b": np.arange(7, dtype=np.float32) / 8,
            "embedding": np.arange(16, dtype=np.float32).reshape(8, 2) - 5,
            "layer0/W": np.linspace(-1, 1, 18, dtype=np.float64).astype(np.float32).reshape(2, 9),
        },
        training=TrainConfig(batch=2, seq=5, dropout=0.4, lr=0.002, epochs=1.5, steps=None, patience=None),
        progress=Progress(CorpusRecord(("/a.txt",), "0" * 64, 99), step=12, best_nats=1.25),
        history=[{"step": 6, "val_nats": 2.5, "file_sha256": "0" * 64}, {"step": 12, "weights_sha256": "0" * 64}],
        slots={
            "iterations": np.array(12, dtype=np.int64),
            "momentum/embedding": np.full((8, 2), 1e-3, dtype=np.float64),
            "half": np.arange(5, dtype=np.float16),
            "small": np.array([[1, 2, 250]], dtype=np.uint8),
        },
        state={"layer0/h": np.arange(6, dtype=np.float32).reshape(2, 3) / 7},
        version="0.0.0",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "step-00000012.safetensors"
    write_checkpoint(path, golden())
    return path


def assert_same(arrays: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.dtype == expected[name].dtype and array.shape == expected[name].shape
        assert array.tobytes() == expected[name].tobytes()
        assert array.flags.writeable and array.flags.aligned and array.flags.owndata


def refused(path: Path, data: bytes, training: bool = False) -> CharRNNError:
    """Put `data` at `path` and return the error of reading it, which names the file and helps."""
    path.write_bytes(data)
    with pytest.raises(CharRNNError) as caught:
        read_checkpoint(path, training=training)
    assert str(path) in caught.value.message and caught.value.hint
    return caught.value


def with_header(change) -> bytes:
    """Return the golden file after `change(header, metadata)`, with digests that fit: a forgery, not damage."""
    data = serialise(golden())
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    metadata = json.loads(header["__metadata__"]["charrnn"])
    metadata["digests"] = {"file_sha256": "0" * 64, "weights_sha256": "0" * 64}
    change(header, metadata)
    header["__metadata__"]["charrnn"] = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    text = json.dumps(header, separators=(",", ":")).encode()
    forged = bytearray(struct.pack("<Q", len(text)) + text + data[end:])
    if not forged.startswith(module._START, 8):
        return bytes(forged)
    forged[module._FILE_DIGITS] = hashlib.sha256(forged).hexdigest().encode()
    weights = {f"model/{name}": array for name, array in golden().weights.items()}
    forged[module._WEIGHTS_DIGITS] = module._weights_digest(forged[: 8 + len(text)], weights)
    return bytes(forged)


def test_everything_comes_back(path):
    expected = golden()
    got = read_checkpoint(path, training=True)
    for name in ("model", "vocab", "training", "progress", "history", "version"):
        assert getattr(got, name) == getattr(expected, name)
    assert_same(got.weights, expected.weights)
    assert_same(got.slots, expected.slots)
    assert_same(got.state, expected.state)


def test_without_training_only_the_weights_come_back(path):
    got = read_checkpoint(path)
    assert_same(got.weights, golden().weights)
    assert got.slots == {} and got.state == {}
    assert got.training == golden().training and got.history == golden().history


def test_the_header_alone(path):
    got = read_header(path)
    assert got.weights == {} and got.model == golden().model and got.step == 12
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CharRNNError, match="cut short"):
        read_header(path)


@pytest.mark.parametrize("characters", ["\0\x1b\x7f", "\u2028\u202e\ufeff", "\U00010000\U0010ffff", "a\u0301"])
def test_any_vocabulary_survives(tmp_path, characters):
    vocab = Vocabulary(tuple(sorted(characters)))
    write_checkpoint(tmp_path / "x", replace(golden(), vocab=vocab))
    assert read_checkpoint(tmp_path / "x").vocab == vocab


def test_arrays_in_any_memory_layout_are_written_as_they_read(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    layouts = {"a": array.T, "b": array[::2, ::-1], "c": np.asfortranarray(array), "d": array.astype(">f4")}
    write_checkpoint(tmp_path / "x", replace(golden(), weights=layouts))
    for name, read in read_checkpoint(tmp_path / "x").weights.items():
        np.testing.assert_array_equal(read, layouts[name])


def test_the_bytes_are_pinned():
    assert hashlib.sha256(serialise(golden())).hexdigest() == GOLDEN_SHA256


def test_the_bytes_do_not_depend_on_the_order_of_dicts():
    first = golden()
    turned = {name: dict(reversed(getattr(first, name).items())) for name in ("weights", "slots", "state")}
    assert serialise(replace(first, **turned)) == serialise(first)


def test_the_safetensors_library_reads_it(path):
    tensors = load_file(path)
    assert len(tensors) == 8
    np.testing.assert_array_equal(tensors["model/embedding"], golden().weights["embedding"])
    np.testing.assert_array_equal(tensors["optimizer/iterations"], 12)


def test_the_code_in_the_documentation_runs(path, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    path.rename(tmp_path / "best.safetensors")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["weights"].keys() == golden().weights.keys()
    assert "'gru'" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        broken = bytearray(Path("best.safetensors").read_bytes())
        broken[-1] ^= 1
        Path("best.safetensors").write_bytes(broken)
        exec(blocks[1], names)


def test_every_byte_is_under_a_digest(path):
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    weights = [
        position
        for name, entry in header.items()
        if name.startswith("model/")
        for position in range(*(end + offset for offset in entry["data_offsets"]))
    ]
    others = sorted(set(range(end, len(data))) - set(weights))
    assert len(weights) == 4 * (7 + 16 + 18) and len(others) == 8 + 128 + 10 + 3 + 24
    rng = random.Random(1)
    digits = [module._FILE_DIGITS.start, module._WEIGHTS_DIGITS.start]
    sample = digits + rng.sample(range(end), 250) + rng.sample(weights, 60)
    for position in sample:
        flipped = bytearray(data)
        flipped[position] ^= 1 << rng.randrange(8)
        refused(path, flipped)
        refused(path, flipped, training=True)
    for position in rng.sample(others, 60):
        flipped = bytearray(data)
        flipped[position] ^= 1 << rng.randrange(8)
        refused(path, flipped, training=True)
        # The default reader does not look at the training's state, so it cannot notice.
        assert_same(read_checkpoint(path).weights, golden().weights)


def test_the_default_reader_reads_only_the_header_and_the_weights(path, monkeypatch):
    size, read = path.stat().st_size, []
    original = Kind.fill
    monkeypatch.setattr(Kind, "fill", lambda kind, file, view: (read.append(len(view)), original(kind, file, view)))
    read_checkpoint(path)
    assert sum(read) == size - (8 + 128 + 10 + 3 + 24)
    read.clear()
    read_checkpoint(path, training=True)
    assert sum(read) == size


@pytest.mark.parametrize("training", [False, True])
def test_files_cut_short_or_grown_are_refused(path, training):
    data = path.read_bytes()
    lengths = {0, 1, 7, 8, 9, len(data) - 1, len(data) - 24, *range(10, len(data), 61)}
    for length in lengths:
        refused(path, data[:length], training)
    for more in (b"\0", data[-8:], data):
        refused(path, data + more, training)
    assert len(lengths) > 30


@pytest.mark.parametrize("training", [False, True])
def test_zeroed_and_swapped_blocks_are_refused(path, training):
    data = path.read_bytes()
    blocks = range(0, len(data) - 256, 128)
    for start in blocks:
        swapped = data[:start] + data[start + 128 : start + 256] + data[start : start + 128] + data[start + 256 :]
        refused(path, swapped, training=True)
    end = 8 + struct.unpack("<Q", data[:8])[0]
    for start in range(0, end - 64, 64):
        refused(path, data[:start] + bytes(64) + data[start + 64 :], training)
    assert len(blocks) > 10


def test_a_header_that_claims_too_much_is_not_allocated(path, monkeypatch):
    data = path.read_bytes()
    for claim in (2**63, 8 * 10**12, tensors.MAX_HEADER + 1, len(data) - 7):
        assert "its header has" in refused(path, struct.pack("<Q", claim) + data[8:]).message
    monkeypatch.setattr(tensors, "MAX_HEADER", 100)
    assert "at most 100" in refused(path, data).message
    with pytest.raises(CharRNNError, match="limit"):
        serialise(golden())


def test_a_forgery_without_changes_is_accepted(path):
    # Otherwise the refusals below would prove nothing: they might all be for the digest.
    path.write_bytes(with_header(lambda header, metadata: None))
    assert_same(read_checkpoint(path, training=True).slots, golden().slots)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda h, m: m.update(format=3), "has format 3; this charrnn reads format 1"),
        (lambda h, m: m.update(format=0), "name its format"),
        (lambda h, m: m.update(format=True), "name its format"),
        (lambda h, m: m.pop("format"), "name its format"),
        (lambda h, m: m.pop("vocab"), "lack 'vocab'"),
        (lambda h, m: m.pop("model"), "lack 'model'"),
        (lambda h, m: m.pop("training"), "lack 'training'"),
        (lambda h, m: m.pop("digests"), "digests"),
        (lambda h, m: m.update(model=[]), "not valid"),
        (lambda h, m: m.update(history=[1]), "not valid"),
        (lambda h, m: m.update(progress=None), "not valid"),
        (lambda h, m: m.update(vocab={"symbols": 5}), "cannot be used"),
        (lambda h, m: m["model"].update(layers="2"), "'layers' is '2'"),
        (lambda h, m: m["model"].update(units=2.5), "'units' is 2.5"),
        (lambda h, m: m["model"].update(layers=True), "'layers' is True"),
        (lambda h, m: m["model"].update(cell="perceptron"), "perceptron"),
        (lambda h, m: m["model"].update(stack="tower"), "tower"),
        (lambda h, m: m["model"].update(colour=1), "colour"),
        (lambda h, m: m["training"].update(lr=float("nan")), "not finite"),
        (lambda h, m: m["progress"].update(best=float("inf")), "not finite"),
        (lambda h, m: m["progress"].update(step="12"), "not valid ('step' is '12')"),
        (lambda h, m: m["progress"].pop("total"), "lack 'total'"),
        (lambda h, m: h.update({"evil/x": h["model/embedding"]}), "does not belong"),
        (lambda h, m: h["model/embedding"].update(dtype="I32"), "do not fit"),
        (lambda h, m: h["model/embedding"].update(dtype="BOOL"), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=[8, 3]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=[-8, -2]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=[2**62, 2**62, 0]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=[8, 2.0]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=None), "do not fit"),
        (lambda h, m: h["model/embedding"].update(shape=[8, 2] + [1] * 40), "do not fit"),
        (lambda h, m: h["model/embedding"].update(data_offsets=[0]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(extra=1), "do not fit"),
        (lambda h, m: h.update({"model/embedding": 7}), "do not fit"),
        (lambda h, m: h["model/embedding"].update(data_offsets=h["model/layer0/W"]["data_offsets"]), "do not fit"),
        (lambda h, m: h["model/embedding"].update(data_offsets=[0, 64]), "does not begin"),
        (lambda h, m: h["model/embedding"].update(data_offsets=[2**60, 2**60 + 64]), "does not begin"),
        (lambda h, m: h.pop("state/layer0/h"), "does not begin"),
    ],
)
def test_a_forged_header_is_refused_for_what_is_wrong_with_it(path, change, reason):
    error = refused(path, with_header(change), training=True)
    assert reason in error.message
    assert ("Upgrade" in error.hint) == (
        reason.startswith("has format 3") or reason in ("colour", "perceptron", "tower")
    )


def test_files_from_before_there_were_stacks_and_backends_are_read(path):
    def older(header, metadata):
        del metadata["model"]["stack"]

    path.write_bytes(with_header(older))
    got = read_checkpoint(path, training=True)
    assert got.model == golden().model and got.model.stack == "plain" and got.progress.backend is None


def rebuilt(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def test_a_model_of_lines_says_so_by_its_older_key(tmp_path):
    text = TextConfig(one_per_line=True)
    write_model(tmp_path / "a.safetensors", Vocabulary.of("ab\n"), text)
    raw = (tmp_path / "a.safetensors").read_bytes()
    assert b'\\"lines\\":true' in raw and b"one_per_line" not in raw
    assert read_header(tmp_path / "a.safetensors").text == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x04\x95 a pickle, perhaps" * 10, "its header has"),
        (save({"x": np.zeros(3, np.float32)}), "not a charrnn checkpoint"),
        (save({"x": np.zeros(3, np.float32)}, {"charrnn": "[]"}), "not a JSON object"),
        (save({"x": np.zeros(3, np.float32)}, {"charrnn": "{"}), "not JSON"),
        (rebuilt(b"[]"), "not a JSON object"),
        (rebuilt(b"[" * 100_000), "not JSON"),
        (rebuilt(b"\xff\xfe{}"), "not JSON"),
        (rebuilt(b'{"a":1,"a":1}'), "occurs twice"),
        (rebuilt(b'{"a":1e999}'), "not finite"),
        (rebuilt(b'{"a":' + b"9" * 10_000 + b"}"), "not JSON"),
        (rebuilt(rb'{"__metadata__":{"charrnn":"\ud800"}}'), "not JSON"),
    ],
)
def test_what_is_no_checkpoint_is_refused(path, data, reason):
    assert reason in refused(path, data).message


def test_paths_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (("missing", "No such file"), (".", "is not a file"), ("fifo", "is not a file")):
        with pytest.raises(CharRNNError, match=reason):
            read_checkpoint(tmp_path / name)


def test_what_the_format_cannot_hold_is_not_written(tmp_path):
    for wrong in (
        {"weights": {"a": np.zeros(3)}},
        {"slots": {"a": np.zeros(0, np.float32)}},
        {"slots": {"a": np.array([object()])}},
        {"progress": replace(golden().progress, best_nats=float("inf"))},
    ):
        with pytest.raises(ValueError):
            write_checkpoint(tmp_path / "x", replace(golden(), **wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(path, monkeypatch, call):
    before, failures = path.read_bytes(), []

    def fail(*arguments):
        failures.append(call)
        raise OSError(28, "No space left on device")

    class FullDisk(io.FileIO):
        """A file that takes half of what it is given."""

        def write(self, data):
            super().write(data[: len(data) // 2])
            fail()

    if call == "write":
        monkeypatch.setattr(durable, "open", FullDisk, raising=False)
    else:
        monkeypatch.setattr(os, call, fail)
    with pytest.raises(CharRNNError, match="could not be written: No space left") as caught:
        write_checkpoint(path, replace(golden(), progress=None))
    monkeypatch.undo()
    assert failures == [call] and str(path) in caught.value.message
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_no_temporary_file(path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, golden())
    assert list(path.parent.iterdir()) == [path]


def test_file_then_name_then_folder_are_made_durable_in_this_order(tmp_path, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.replace
    kind = {True: "fsync folder", False: "fsync file"}
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(kind[os.path.isdir(f"/dev/fd/{fd}")]), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), rename(*paths)))
    write_checkpoint(tmp_path / "x", golden())
    assert steps == ["fsync file", "rename", "fsync folder"]
