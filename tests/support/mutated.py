"""Checkpoints as a stranger may send them: sound digests, odd contents, from a seed."""

import hashlib
import json
import os
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.network.parameters import initial_weights
from charrnn.network.states import named, state_shapes
from charrnn.runs import container
from charrnn.runs.checkpoint import Checkpoint, serialise
from charrnn.runs.container import PARTS
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary

TEXT = "ab ba\nbab\n" * 20
# Stands for an array in an array in an array …, so deep, which no writer of JSON would write.
_DEEP = "@deep"
# fmt: off
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 10**4, 10**6, 10**12, 2**63, -(2**63), 10**308, 10**400, -(10**4000),
    0.5, -0.0, -1.5, 1e300, 1.7e308, 5e-324, "@deep30", "@deep900", "@deep20000",
    "", "x", "\n", "\0", "-", "/", "/dev/zero", "é", "\ud800", "a\udcff", "😀", "b" * 5000, "\x1b[2J\x07", "\u202e",
    "lstm", "rnn", "grid", "gated-feedback", "residual", "sgd", "char-rnn", "documents", "utf-16", "idna", "rot13",
    [], {}, [[]], [None], ["/dev/zero"], [1, "a", {}], {"a": 1}, {"": {"": []}}, {"step": 1},
    [{"step": 1, "val_nats": []}],
]
SOURCES: list[Any] = [
    ["/dev/zero"], ["/dev/stdin"], ["/dev/z*"], ["-"], ["FIFO"], ["FOLDER"], ["FOLDER/*"], ["TEXT", "/dev/zero"],
    ["TEXT", "FIFO"], ["\0"], ["TEXT\0"], ["\ud800"], ["a\udcff"], [""], ["x" * 5000], ["/dev/null"], ["/dev/full"],
    ["/proc/self/mem"], ["SOCKET"], ["TEXT"] * 50, ["nowhere.gz"], [], "TEXT", [["TEXT"]], ["[!]*?"],
]
# fmt: on


class Stranger:
    """Makes checkpoints of which something is odd; a file for each call of `write`, in `folder`."""

    def __init__(self, folder: Path, seed: int):
        self.rng, self.folder = random.Random(seed), folder
        (folder / "text.txt").write_text(TEXT)
        (folder / "texts").mkdir()
        (folder / "texts/one.txt").write_text(TEXT)
        os.mkfifo(folder / "fifo")
        os.mkfifo(folder / "texts/fifo")
        os.mknod(folder / "socket", 0o140600)
        self.names = {"TEXT": "text.txt", "FIFO": "fifo", "FOLDER": "texts", "SOCKET": "socket"}
        self.models = [_opened(checkpoint) for checkpoint in _sound(str(folder / "text.txt"))]

    def write(self, path: Path) -> None:
        """Write a checkpoint of which one to three things are odd."""
        metadata, arrays = self.rng.choice(self.models)
        metadata, arrays = json.loads(metadata), dict(arrays)
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            if self.rng.random() < 0.1:
                self._change_arrays(arrays)
            else:
                self._change(metadata)
        path.write_bytes(packed(metadata, arrays))

    def _change(self, metadata: dict[str, Any]) -> None:
        rng = self.rng
        corpus = metadata["progress"].get("corpus") if isinstance(metadata.get("progress"), dict) else None
        if isinstance(corpus, dict) and rng.random() < 0.15:
            corpus[rng.choice(["sources", "sources", "sources", "include", "val_sources"])] = self._sources()
            return
        section = rng.choice(sorted(set(metadata) - {"digests", "format"}) or [""])
        places = [(metadata, section), *_places(metadata.get(section))]
        # Each depth as often as any other: there are more settings than sections.
        holder, key = places[0] if rng.random() < 0.1 else rng.choice(places)
        value = holder[key] if section in metadata else None
        rng.choice([self._replace, self._replace, self._remove, self._nudge, self._swap])(holder, key, value, places)

    def _replace(self, holder: Any, key: Any, value: Any, places: Any) -> None:
        holder[key] = self._value()

    def _remove(self, holder: Any, key: Any, value: Any, places: Any) -> None:
        del holder[key]

    def _swap(self, holder: Any, key: Any, value: Any, places: Any) -> None:
        other, name = self.rng.choice(places)
        holder[key], other[name] = deepcopy(other[name]), deepcopy(value)

    def _nudge(self, holder: Any, key: Any, value: Any, places: Any) -> None:
        rng = self.rng
        match value:
            case str():
                at = rng.randrange(len(value) + 1)
                holder[key] = value[:at] + rng.choice(["", "\0", "z", "\ud800", "é"]) + value[at + rng.randrange(2) :]
            case list():
                value.insert(rng.randrange(len(value) + 1), self._value())
            case dict():
                value[rng.choice(["", "é", "step", "unknown", "sources", "\0"])] = self._value()
            case bool() | None:
                holder[key] = self._value()
            case _:
                holder[key] = rng.choice(
                    [
                        -value,
                        value * 1000,
                        value + 1,
                        str(value),
                        [value],
                        value // 3 + 0.5 if abs(value) < 1e300 else 0,
                    ]
                )

    def _value(self) -> Any:
        return deepcopy(self.rng.choice(VALUES))

    def _sources(self) -> Any:
        sources = self.rng.choice(SOURCES)
        return [self.named(source) for source in sources] if isinstance(sources, list) else self.named(sources)

    def named(self, source: Any) -> Any:
        """Return a source with the place of what is meant by TEXT, FIFO, FOLDER and SOCKET."""
        for name, place in self.names.items():
            source = source.replace(name, str(self.folder / place)) if isinstance(source, str) else source
        return source

    def _change_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        name = self.rng.choice(sorted(arrays))
        array = arrays[name]
        odd = [np.nan, np.inf, 1e38, 0] if array.dtype.kind == "f" else [0, 1]
        match self.rng.randrange(4):
            case 0:
                del arrays[name]
            case 1:
                arrays[name] = np.zeros((*array.shape, 1), array.dtype)
            case 2:
                arrays[name] = np.full_like(array, self.rng.choice(odd))
            case _:
                arrays[f"{self.rng.choice(PARTS)}/odd"] = np.zeros(3, np.float32)


def _sound(text: str) -> Iterator[Checkpoint]:
    """Yield sound checkpoints: as trained, as trained otherwise, and without anything that is optional."""
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    history = [{"step": n, "epoch": n / 9, "train_nats": 2 / n, "val_nats": 1.5, "seconds": 0.1} for n in (3, 6)]
    progress = Progress(CorpusRecord((text,), digest, len(TEXT), ("*.txt",)), step=6, total=9, best_nats=1.5)
    settings = TrainConfig(batch=2, seq=5, steps=9)
    model, vocab = ModelConfig("rnn", 1, 3), Vocabulary.of("ab \n")
    yield _of(model, vocab, training=settings, progress=progress, history=history)
    corpus = CorpusRecord((text,), digest, len(TEXT), None, (text,), digest)
    progress = Progress(corpus, backend="jax", device="cpu", step=6, best_nats=1.0, best_step=6)
    lines = TextConfig(one_per_line=True, loss_after=" ", normalize="nfc", newlines="lf")
    model = ModelConfig("gru", 2, 2, embedding=2, stack="gated-feedback")
    yield _of(model, Vocabulary.of("ab \n", True), training=settings, progress=progress, history=history, text=lines)
    back = TextConfig(reverse=True)
    yield _of(ModelConfig("gru", 1, 8, classes=("no", "yes")), Vocabulary.of("\n ab"), training=settings)
    yield _of(ModelConfig("lstm", 2, 8, attention=3), Vocabulary.of("\n ab"), training=settings, text=back)


def _of(model: ModelConfig, vocab: Vocabulary, **rest: Any) -> Checkpoint:
    state = {name: np.zeros(shape, np.float32) for name, shape in named(state_shapes(model, 2)).items()}
    weights = initial_weights(model, vocab.size, 1)
    return Checkpoint(model, vocab, weights, slots={"000": np.ones(3, np.float32)}, state=state, **rest)


def _opened(checkpoint: Checkpoint) -> tuple[str, dict[str, np.ndarray]]:
    data = serialise(checkpoint)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    parts = zip(PARTS, (checkpoint.weights, checkpoint.slots, checkpoint.state), strict=True)
    arrays = {f"{part}/{name}": array for part, arrays in parts for name, array in arrays.items()}
    return header["__metadata__"]["charrnn"], arrays


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a value as (what holds it, key)."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(keys):
        yield value, key
        yield from _places(inner)


def packed(metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Return the bytes of a file of which the digests are right."""
    metadata["digests"] = {"file_sha256": "0" * 64, "weights_sha256": "0" * 64}
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    for depth in (30, 900, 20000):
        text = text.replace(f'"{_DEEP}{depth}"', "[" * depth + "]" * depth)
    data = bytearray(save(arrays, metadata={"charrnn": text}))
    data[container._FILE_DIGITS] = hashlib.sha256(data).hexdigest().encode()
    head = data[: 8 + int.from_bytes(data[:8], "little")]
    data[container._WEIGHTS_DIGITS] = container._weights_digest(head, arrays)
    return bytes(data)
