"""New text from a model, as it is made; and what is told of how texts are generated."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.inference.model import Model, Stream
from charrnn.inference.sampling import Sampling, pick
from charrnn.inference.scoring import cross_entropy


@dataclass(frozen=True)
class Ending:
    """Where a text ends: before a stop string, behind its n-th line break, or at a length, whichever comes first.

    `stops` are stop strings as ids; `lines` is n, `line_break` the id of line breaks.
    """

    length: int
    stops: tuple[tuple[int, ...], ...] = ()
    lines: int | None = None
    line_break: int | None = None

    def stopped(self, ids: Sequence[int]) -> int:
        """Return the length of the longest stop string that ids end with, 0 if none."""
        return max((len(stop) for stop in self.stops if tuple(ids[-len(stop) :]) == stop), default=0)

    def may_begin(self, ids: Sequence[int]) -> bool:
        """Return whether just these ids are the beginning of a stop string, or one."""
        return any(stop[: len(ids)] == tuple(ids) for stop in self.stops)


@dataclass(frozen=True, eq=False)
class Generation:
    """How texts are generated: each character drawn by `sampling`, none of the ids `banned`, up to an `ending`.

    With `no_repeat` n no stretch of n characters occurs twice in a text and what it follows. Text number i of a `seed`
    is a function of both alone (to rounding), however many are made side by side.
    """

    ending: Ending
    sampling: Sampling = field(default_factory=Sampling)
    banned: Sequence[int] = ()
    no_repeat: int | None = None
    seed: int = 0

    def draws(self, text: int) -> np.random.Generator:
        """Return the source of random numbers of a text."""
        return np.random.Generator(np.random.Philox(key=[self.seed, text]))


class Character(NamedTuple):
    """A generated character, and what the model made of it: -log of its probability, before any filter."""

    id: int
    nats: float


class Sample(NamedTuple):
    """A generated text: ids and nats of its characters, and whether it came to its end before its length."""

    ids: np.ndarray
    nats: np.ndarray
    ended: bool


class Repeats:
    """The stretches of n characters that a text has had: what has followed each n - 1."""

    def __init__(self, n: int, ids: Iterable[int]):
        self.n = n
        self.ids: list[int] = []
        self.after: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        for character in ids:
            self.add(character)

    def add(self, character: int) -> None:
        """Append a character."""
        self.after[self._last()].add(character)
        self.ids = [*self.ids[-self.n :], character]

    def forbid(self, logits: np.ndarray) -> None:
        """Make what would repeat a stretch impossible, unless nothing else is possible."""
        allowed = logits.copy()
        allowed[list(self.after.get(self._last(), ()))] = -np.inf
        if allowed.max() > -np.inf:
            logits[:] = allowed

    def _last(self) -> tuple[int, ...]:
        # Of a text that is shorter: all of it, which never comes again.
        return tuple(self.ids[max(0, len(self.ids) - self.n + 1) :])


def generate_one(model: Model, before: np.ndarray, how: Generation, with_nats: bool = False) -> Iterator[Character]:
    """Yield the characters of text 0 behind the ids `before` (`Model.before`), each as soon as it is settled.

    What may be the beginning of a stop string waits until it is none. Without `with_nats`, nats are 0.
    """
    held: list[Character] = []
    ending, lines, length = how.ending, how.ending.lines, how.ending.length
    starts = {stop[0] for stop in ending.stops}
    if not length:
        return
    for made, character in enumerate(_endless(model, before, how, with_nats), 1):
        if held or character.id in starts:
            held.append(character)
            ids = [held_back.id for held_back in held]
            stop = ending.stopped(ids)
            if stop:
                yield from held[: len(held) - stop]
                return
            settled = 0
            while settled < len(ids) and not ending.may_begin(ids[settled:]):
                settled += 1
            yield from held[:settled]
            del held[:settled]
        else:
            yield character
        if lines is not None and character.id == ending.line_break:
            lines -= 1
        if made == length or lines == 0:
            yield from held
            return


def sample_text(model: Model, prime: np.ndarray, how: Generation) -> str:
    """Return text 0 behind the ids `prime`."""
    return model.vocab.decode([character.id for character in generate_one(model, model.before(prime), how)])


def _endless(model: Model, before: np.ndarray, how: Generation, with_nats: bool) -> Iterator[Character]:
    """Yield characters without an end. Behind the end of a document that is forgotten, another one begins."""
    stream, sampling, end = Stream(model), how.sampling, model.end
    logits = stream.feed(before[:, None])[-1, 0]
    step, start, size, mask = stream.step, model.vocab.start, model.vocab.size, mask_of(model, how)
    repeats = Repeats(how.no_repeat, before[before != model.vocab.start].tolist()) if how.no_repeat else None
    nats = 0.0
    for uniform in _uniforms(how.draws(0)):
        drawn_from = logits
        if mask is not None:
            drawn_from = logits + mask
        if repeats:
            drawn_from = drawn_from.copy()
            repeats.forbid(drawn_from)
        chosen = pick(sampling.weights(drawn_from), uniform)
        if chosen == size:
            raise not_a_number()
        if with_nats:
            nats = float(cross_entropy(logits, np.array(chosen)))
        yield Character(chosen, nats)
        if repeats:
            repeats.add(chosen)
        if chosen == end:
            stream.forget()
            chosen = start
        logits = step(chosen)


def not_a_number() -> CharRNNError:
    """Return the error of a model from whose predictions nothing can be drawn; a draw falls behind the last id then."""
    return CharRNNError(
        "The model's predictions are not numbers: it is damaged, or its state has grown beyond all bounds.",
        hint="charrnn verify RUN tells whether its weights are sound.",
    )


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(4096).tolist()


def mask_of(model: Model, how: Generation) -> np.ndarray | None:
    """Return what is added to logits, (vocab,): minus infinity for what must not be drawn, the unknown symbol too."""
    banned = [*how.banned, *([] if model.vocab.unknown_id is None else [model.vocab.unknown_id])]
    if not banned:
        return None
    mask = np.zeros(model.vocab.size, np.float32)
    mask[banned] = -np.inf
    return mask
