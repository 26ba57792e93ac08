"""New text from a model: what is told of how texts are generated, the rules that every text follows, one text alone."""

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.inference.ends import End
from charrnn.inference.model import Model, Stream
from charrnn.inference.sampling import Sampling, cross_entropy, pick

# Random numbers that are drawn at once for a text.
_DRAWS = 64


@dataclass(frozen=True)
class Ending:
    """Where a text ends, whichever comes first: before a stop string, after n line breaks or documents, at a length.

    `stops` are stop strings as ids; `lines` or `documents` is n, `line_break` the id of line breaks, `end` the end of
    documents. A text alone (`generate_one`) that has reached its length may take `finish` characters more, to the end
    of its line. With `keep` a stop string stays in the text that it ends.
    """

    length: int
    stops: tuple[tuple[int, ...], ...] = ()
    lines: int | None = None
    line_break: int | None = None
    finish: int = 0
    keep: bool = False
    documents: int | None = None
    end: End | None = None

    @property
    def is_told(self) -> bool:
        """Return whether something else than the length is to end a text."""
        return bool(self.stops or self.finish) or self.lines is not None or self.documents is not None

    def cut(self, ids: Sequence[int], breaks: int, documents: int = 0) -> int | None:
        """Return how many ids are left out at the end of a text that ends here, before its length; None if it goes on.

        `ids` is its end, with all of a stop string, `breaks` how many line breaks all of it has, `documents` how many
        documents have ended. Of stop strings that end together the longest is left out; a stop string goes before the
        end of a line or document.
        """
        stop = max((len(stop) for stop in self.stops if tuple(ids[-len(stop) :]) == stop), default=0)
        if stop:
            return 0 if self.keep else stop
        counted = (self.lines, breaks), (self.documents, documents)
        return 0 if any(wanted is not None and there >= wanted for wanted, there in counted) else None

    def may_begin(self, ids: Sequence[int]) -> bool:
        """Return whether just these ids are the beginning of a stop string, or one."""
        return any(stop[: len(ids)] == tuple(ids) for stop in self.stops)


@dataclass(frozen=True, eq=False)
class Generation:
    """How texts are generated: each character drawn by `sampling`, none of the ids `banned`, up to an `ending`.

    With `no_repeat` n no stretch of n characters occurs twice in a text and what it follows. Text number i of a `seed`
    is a function of both alone (to rounding), however many are made side by side. `used_up` is called where a stretch
    occurs twice all the same, as nothing else is left. With `unknown` the unknown symbol is drawn like any other.
    """

    ending: Ending
    sampling: Sampling = field(default_factory=Sampling)
    banned: Sequence[int] = ()
    no_repeat: int | None = None
    seed: int = 0
    used_up: Callable[[], None] = lambda: None
    unknown: bool = False

    def draws(self, text: int) -> Iterator[float]:
        """Return the random numbers from [0, 1) that a text is drawn by, one a character, without an end."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, text]))
        return chain.from_iterable(rng.random(_DRAWS).tolist() for _ in repeat(None))

    def watched(self, vocab_size: int) -> frozenset[int]:
        """Return the ids that `Text.add` must be told of: those that begin or count what a rule is about."""
        if self.no_repeat:
            return frozenset(range(vocab_size))
        breaks = [] if self.ending.lines is None else [self.ending.line_break]
        ends = [] if self.ending.documents is None or self.ending.end is None else [self.ending.end.ids[0]]
        return frozenset(id for id in [*(stop[0] for stop in self.ending.stops), *breaks, *ends] if id is not None)


class Character(NamedTuple):
    """A generated character, and what the model made of it: -log of its probability, before any filter."""

    id: int
    nats: float


# What yields the characters of a text, and returns whether it came to its end.
Characters = Generator[Character, None, bool]


class Sample(NamedTuple):
    """A generated text: ids and nats of its characters, and whether it came to its end before its length.

    `end_nats` is what the end costs that is left out of the text.
    """

    ids: np.ndarray
    nats: np.ndarray
    ended: bool
    end_nats: float = 0.0


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

    def forbid(self, logits: np.ndarray) -> bool:
        """Make what would repeat a stretch impossible; return False, and change nothing, if nothing else is left."""
        allowed = logits.copy()
        allowed[list(self.after.get(self._last(), ()))] = -np.inf
        if allowed.max() == -np.inf:
            return False
        logits[:] = allowed
        return True

    def _last(self) -> tuple[int, ...]:
        # Of a text that is shorter: all of it, which never comes again.
        return tuple(self.ids[max(0, len(self.ids) - self.n + 1) :])


class Text:
    """A text in the making, as the rules see it: its random numbers, its repeats, and whether it has come to its end.

    `before` are the ids that it follows. `held` are its last characters, as far as a stop string may begin with them;
    `matched` is how many of its last ones begin the end of a document, where documents are counted.
    """

    def __init__(self, how: Generation, number: int, before: Sequence[int]):
        self.number, self.draws, self.ending = number, how.draws(number), how.ending
        self.repeats = Repeats(how.no_repeat, before) if how.no_repeat else None
        self.held: list[int] = []
        self.breaks = self.documents = self.matched = 0
        if self.ending.documents is not None and self.ending.end is not None:
            self.matched = int(self.ending.end.matched(np.array(before, np.int64)))

    @property
    def is_amid(self) -> bool:
        """Return whether it must be told of the next character, whatever that is."""
        return bool(self.held or self.matched)

    def add(self, character: int) -> int | None:
        """Take a character that was drawn; return None if the text goes on, else how many of its last are left out.

        Unless it `is_amid`, one that is not `Generation.watched` may be passed over, which saves time: most are not.
        """
        if self.repeats is not None:
            self.repeats.add(character)
        self.held.append(character)
        self.breaks += character == self.ending.line_break
        if self.ending.documents is not None and self.ending.end is not None:
            self.matched = int(self.ending.end.after[self.matched, character])
            if self.matched == len(self.ending.end):
                self.documents, self.matched = self.documents + 1, 0
        cut = self.ending.cut(self.held, self.breaks, self.documents)
        while cut is None and self.held and not self.ending.may_begin(self.held):
            del self.held[0]
        return cut


class Allowed:
    """What may be drawn: not what is banned, nor the unknown symbol, nor what would repeat a stretch."""

    def __init__(self, model: Model, how: Generation):
        unknown = None if how.unknown else model.vocab.unknown_id
        banned = [*how.banned, *([] if unknown is None else [unknown])]
        self.no_repeat, self.used_up = how.no_repeat, how.used_up
        self.mask = None
        if banned:
            self.mask = np.zeros(model.vocab.size, np.float32)
            self.mask[banned] = -np.inf

    def of(self, logits: np.ndarray, texts: Collection[Text]) -> np.ndarray:
        """Return logits of texts, (texts, vocab), or of one, (vocab,), minus infinity for what must not be drawn."""
        if self.mask is not None:
            logits = logits + self.mask
        if self.no_repeat:
            logits = logits.copy()
            for text, own in zip(texts, logits.reshape(len(texts), -1), strict=True):
                assert text.repeats is not None
                if not text.repeats.forbid(own):
                    self.used_up()
        return logits


def generate_one(model: Model, before: np.ndarray, how: Generation, with_nats: bool = False) -> Characters:
    """Yield the characters of text 0 after the ids `before` (`Model.before`), each as soon as it is settled.

    What may be the beginning of a stop string waits until it is none. Without `with_nats`, nats are 0. The generator
    returns whether the text came to its end, and was not cut.
    """
    length = how.ending.length
    if not length:
        return False
    stream, sampling, allowed, size = Stream(model), how.sampling, Allowed(model, how), model.vocab.size
    text, watched = Text(how, 0, before[before != model.vocab.start].tolist()), how.watched(size)
    logits, nats = stream.feed(before[:, None])[-1, 0], 0.0
    waiting: list[Character] = []
    for made, uniform in enumerate(text.draws, 1):
        chosen = pick(sampling.weights(allowed.of(logits, (text,))), uniform)
        if chosen == size:
            raise not_a_number()
        if with_nats:
            nats = float(cross_entropy(logits, np.array(chosen)))
        character, cut = Character(chosen, nats), None
        if waiting or text.matched or chosen in watched:
            waiting.append(character)
            cut = text.add(chosen)
            settled = len(waiting) - (len(text.held) if cut is None else cut)
            yield from waiting[:settled]
            del waiting[:settled]
        else:
            yield character
        if cut is not None:
            return True
        whole = bool(how.ending.finish) and chosen == how.ending.line_break
        if made >= length and (whole or made == length + how.ending.finish):
            yield from waiting
            return whole
        logits = stream.go_on(chosen)
    raise AssertionError("random numbers have no end")


def sample_text(model: Model, prime: np.ndarray, how: Generation) -> str:
    """Return text 0 after the ids `prime`."""
    return model.vocab.decode([character.id for character in generate_one(model, model.before(prime), how)])


def not_a_number() -> CharRNNError:
    """Return the error of a model from whose predictions nothing can be drawn; a draw falls beyond the last id then."""
    return CharRNNError(
        "The model's predictions are not numbers: it is damaged, or its state has grown beyond all bounds.",
        hint="charrnn verify RUN tells whether its weights are sound.",
    )
