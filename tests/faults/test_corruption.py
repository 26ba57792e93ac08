"""Promises 3, 4 and 7: damage is noticed, a damaged newest checkpoint is passed over, and old files load."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, serialise
from charrnn.runs.container import Container
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.runs.verify import fault
from charrnn.text.vocabulary import Vocabulary
from support.tally import SOAK, Tally, share

GOLDEN = Path(__file__).parents[1] / "golden"
BATCH = 2


def small(step: int = 1, units: int = 20) -> bytes:
    """Return a checkpoint's bytes as training writes them: weights, two slots for each, hidden state."""
    model, vocab = ModelConfig(cell="lstm", layers=1, units=units), Vocabulary.of("ab\n")
    weights = initial_weights(model, vocab.size, step)
    slots = {f"{place:03d}": array / 7 for place, array in enumerate([*weights.values(), *weights.values()])}
    state = {f"layer0/{field}": np.full((BATCH, units), 0.25, np.float32) for field in ("h", "c")}
    progress = Progress(CorpusRecord((), "0" * 64, 0), step=step, best_nats=1.5)
    training = TrainConfig(batch=BATCH)
    return bytes(serialise(Checkpoint(model, vocab, weights, training, progress, slots=slots, state=state)))


def refused(path: Path, tally: Tally, what: str) -> None:
    """Count a damaged file, which `verify` must refuse with a reason that names it."""
    error = fault(path)
    tally.inject()
    tally.check(error is not None and str(path) in error.message and len(error.message) > len(str(path)) + 5, what)


@pytest.mark.promise(3)
def test_every_flipped_bit_is_noticed(tmp_path: Path, tally: Tally) -> None:
    data, path = small(), tmp_path / "step-00000001.safetensors"
    assert 20_000 < len(data) < 65_536
    path.write_bytes(data)
    header = 8 + int.from_bytes(data[:8], "little")
    with open(path, "rb") as file:
        weights_end = header + max(place.end for name, place in Container(file).places().items() if "model/" in name)
    bits = range(8 * len(data)) if SOAK else random.Random(3).sample(range(8 * len(data)), 3000)
    assert fault(path) is None
    with open(path, "rb+", buffering=0) as file:
        for bit in bits:
            byte = bit // 8
            os.pwrite(file.fileno(), bytes([data[byte] ^ 1 << bit % 8]), byte)
            refused(path, tally, f"bit {bit} of {8 * len(data)}")
            # Every reader, not only those that go on training.
            if byte < weights_end and bit % 8 == byte % 8:
                try:
                    read_checkpoint(path)
                except CharRNNError:
                    pass
                else:
                    tally.fail(f"bit {bit} in header or weights was read by a sampler")
            os.pwrite(file.fileno(), data[byte : byte + 1], byte)
    assert fault(path) is None and path.read_bytes() == data


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def damages(data: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield every truncation, and appended bytes, zeroed and swapped blocks, by their names."""
    lengths = range(len(data)) if SOAK else [*sorted(rng.sample(range(len(data)), 300)), 0, 7, 8, len(data) - 1]
    for length in lengths:
        yield f"cut to {length}", data[:length]
    for more in (b"\0", b" ", b"}", bytes(512), data):
        yield f"{len(more)} bytes appended", data + more
    for size in (1, 16, 512, 4096):
        for low in range(0, len(data) - size, max(size, 64 if SOAK else 1024)):
            block = data[low : low + size]
            if block != bytes(size):
                yield f"{size} bytes zeroed at {low}", data[:low] + bytes(size) + data[low + size :]
    for size in (4, 512, 4096):
        for _ in range(share(30, 1000)):
            a, b = sorted(rng.sample(range(0, len(data) - size, size), 2))
            one, other = data[a : a + size], data[b : b + size]
            if one != other:
                swapped = data[:a] + other + data[a + size : b] + one + data[b + size :]
                yield f"{size} bytes at {a} and {b} swapped", swapped


@pytest.mark.promise(3)
def test_cut_longer_zeroed_and_swapped_files_are_noticed(tmp_path: Path, tally: Tally) -> None:
    path = tmp_path / "best.safetensors"
    for what, damaged in damages(small(), random.Random(4)):
        path.write_bytes(damaged)
        refused(path, tally, what)


@pytest.mark.promise(3)
def test_good_files_are_accepted(tmp_path: Path, tally: Tally) -> None:
    path = tmp_path / "best.safetensors"
    for step in range(share(50, 1000)):
        path.write_bytes(small(step, units=1 + step % 20))
        tally.inject()
        tally.check(fault(path) is None, f"{step}: {fault(path)}")


@pytest.mark.promise(4)
@pytest.mark.parametrize("bad", [1, 2, 3])
def test_damaged_newest_checkpoints_are_passed_over_by_name(bad: int, tmp_path: Path, tally: Tally) -> None:
    rng = random.Random(bad)
    damage: list[tuple[str, Callable[[bytes], bytes | None]]] = [
        ("the first bit", lambda data: flipped(data, 0)),
        ("a bit in the middle", lambda data: flipped(data, 4 * len(data))),
        ("the last bit", lambda data: flipped(data, 8 * len(data) - 1)),
        ("cut", lambda data: data[: rng.randrange(len(data))]),
        ("empty", lambda data: b""),
        ("longer", lambda data: data + b"\0"),
        ("zeroes", lambda data: bytes(len(data))),
        ("another's", lambda data: b"hello"),
        ("a folder", lambda data: None),
    ]
    for what, change in damage:
        run = Run(tmp_path / "run")
        run.path.mkdir()
        for step in (1, 2, 3, 4):
            data: bytes | None = small(step)
            path = run.path / f"step-{step:08d}.safetensors"
            if step > 4 - bad:
                data = change(small(step))
            if data is None:
                path.mkdir()
            else:
                path.write_bytes(data)
        found, path, warnings = run.load_newest()
        tally.inject()
        tally.check(found.step == 4 - bad and path.name == f"step-{4 - bad:08d}.safetensors", what)
        # What is no file is no checkpoint, and not worth a word.
        named = [] if what == "a folder" else [f"step-{step:08d}.safetensors" for step in range(4, 4 - bad, -1)]
        said = [[name for name in named if name in warning] for warning in warnings]
        tally.check(said == [[name] for name in named], f"{what}: {warnings}")
        tally.check(all(f"Using {path.name}" in warning for warning in warnings), f"{what}: {warnings}")
        shutil.rmtree(run.path)


@pytest.mark.promise(7)
def test_golden_files_load_for_ever(tally: Tally) -> None:
    for path in sorted(GOLDEN.glob("format-*.safetensors")):
        tally.inject()
        tally.check(fault(path) is None, str(fault(path)))
        found = read_checkpoint(path, training=True)
        tally.check(found.step == 30 and len(found.history) == 3, f"{path.name}: {found.progress}")
        model = Model.load(path)
        expected = np.load(path.with_suffix(".logits.npy"))
        from charrnn.inference.stream import Stream

        ids = np.concatenate([[model.vocab.start], np.arange(model.vocab.size)])[:, None]
        logits = Stream(model).feed(ids)[:, 0]
        tally.check(bool(np.allclose(logits, expected, atol=1e-5)), f"{path.name}: other logits")
    assert tally.injected == 1
