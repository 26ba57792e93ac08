"""New text from a model: the settings of generation, the rules for every text, and the generation of a single text."""

from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from typing import NamedTuple

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.inference.compiled import CompiledStream
from charrnn.inference.ends import End
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling, cross_entropy, pick
from charrnn.inference.stream import Stream

# How many random numbers are drawn at once for a text.
_DRAWS = 64


@dataclass(frozen=True)
class Ending:
    """Where a text ends: before a stop string, after n lines or documents, or at a length (the first of these).

    `stops` are stop strings as ids; `lines` or `documents` is n; `line_break` is the id of the line break, `end` the
    end of documents. A single text (`generate_one`) that has reached its length may have up to `finish` additional
    characters, until the end of its line or, with `end`, of its document. With `keep`, a stop string is part of the
    text that it ends.
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
        """Return whether something other than the length can end a text."""
        return bool(self.stops or self.finish) or self.lines is not None or self.documents is not None

    def cut(self, ids: Sequence[int], breaks: int, documents: int = 0) -> int | None:
        """Return how many ids to remove from the end of a text that ends here, before its length, None if it continues.

        `ids` are the last ids of the text, at least as many as a stop string has. `breaks` is the number of line breaks
        in the text, `documents` the number of documents that have ended. If several stop strings end here, the longest
        is removed. A stop string has priority over the end of a line or document.
        """
        stop = max((len(stop) for stop in self.stops if tuple(ids[-len(stop) :]) == stop), default=0)
        if stop:
            return 0 if self.keep else stop
        counted = (self.lines, breaks), (self.documents, documents)
        return 0 if any(wanted is not None and there >= wanted for wanted, there in counted) else None

    def may_begin(self, ids: Sequence[int]) -> bool:
        """Return whether a stop string begins with all of these ids, or is equal to them."""
        return any(stop[: len(ids)] == tuple(ids) for stop in self.stops)


@dataclass(frozen=True, eq=False)
class Generation:
    """How texts are generated: each character is drawn by `sampling`, without the ids `banned`, up to an `ending`.

    With `no_repeat` n, no sequence of n characters occurs twice in a text and its prime. If no other character is left,
    a sequence is repeated anyway, and `used_up` is called. Text number i of a `seed` depends only on i and the seed
    (except for rounding), not on how many texts are generated in parallel. With `unknown`, the unknown symbol is drawn
    like any other.
    """

    ending: Ending
    sampling: Sampling = field(default_factory=Sampling)
    banned: Sequence[int] = ()
    no_repeat: int | None = None
    seed: int = 0
    used_up: Callable[[], None] = lambda: None
    unknown: bool = False

    def draws(self, text: int) -> Iterator[float]:
        """Return the endless sequence of random numbers from [0, 1) for a text, one per character."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, text]))
        return chain.from_iterable(rng.random(_DRAWS).tolist() for _ in repeat(None))

    def watched(self, vocab_size: int) -> frozenset[int]:
        """Return the ids that must be passed to `Text.add`: those that begin a stop string or that a rule counts."""
        if self.no_repeat:
            return frozenset(range(vocab_size))
        breaks = [] if self.ending.lines is None else [self.ending.line_break]
        ends = [] if self.ending.documents is None or self.ending.end is None else [self.ending.end.ids[0]]
        return frozenset(id for id in [*(stop[0] for stop in self.ending.stops), *breaks, *ends] if id is not None)


class Character(NamedTuple):
    """A generated character and its cost: -log of its probability in the model, before any filter."""

    id: int
    nats: float


# A generator that yields the characters of a text, and returns whether the text reached its own end.
Characters = Generator[Character, None, bool]


class Sample(NamedTuple):
    """A generated text: ids and nats of its characters, and whether it reached its own end before its length.

    They are in the order in which the model wrote them; `in_order` returns that in which people read them.

    `end_nats` is the cost of the end that was removed from the text.
    """

    ids: np.ndarray
    nats: np.ndarray
    ended: bool
    end_nats: float = 0.0

    def in_order(self, model: Model, before_prime: bool) -> "Sample":
        """Return the text in the order in which people read it (`Model.written_order`)."""
        if not model.text.reverse:
            return self
        order = model.written_order(self.ids, self.ended, before_prime)
        # What was left out at the end.
        end_nats = self.end_nats + float(self.nats.sum()) - float(self.nats[order].sum())
        return self._replace(ids=self.ids[order], nats=self.nats[order], end_nats=end_nats)


class Repeats:
    """The sequences of n characters in a text so far: for every n - 1 characters, those that have followed them."""

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
        """Set the logits of characters that would repeat a sequence to minus infinity.

        If no other character is left, return False and change nothing.
        """
        allowed = logits.copy()
        allowed[list(self.after.get(self._last(), ()))] = -np.inf
        if allowed.max() == -np.inf:
            return False
        logits[:] = allowed
        return True

    def _last(self) -> tuple[int, ...]:
        # A shorter text is returned whole; such a key cannot occur again.
        return tuple(self.ids[max(0, len(self.ids) - self.n + 1) :])


class Text:
    """The state of a text that is being generated: its random numbers, its repeats, and whether it has ended.

    `before` are the ids before the text. `held` are its last characters, if a stop string may begin with them.
    `matched` is how many of its last characters begin the end of a document, if documents are counted.
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
        """Return whether every next character must be passed to `add`, even if it is not watched."""
        return bool(self.held or self.matched)

    def add(self, character: int) -> int | None:
        """Add a drawn character; return None if the text continues, else how many of its last characters to remove.

        Unless the text `is_amid`, the call may be skipped for a character that is not `Generation.watched`. That saves
        time, because most are not.
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
    """Excludes characters from drawing: banned ones, the unknown symbol, and those that would repeat a sequence."""

    def __init__(self, model: Model, how: Generation):
        unknown = None if how.unknown else model.vocab.unknown_id
        banned = [*how.banned, *([] if unknown is None else [unknown])]
        self.no_repeat, self.used_up = how.no_repeat, how.used_up
        self.mask = None
        if banned:
            self.mask = np.zeros(model.vocab.size, np.float32)
            self.mask[banned] = -np.inf

    def of(self, logits: np.ndarray, texts: Collection[Text]) -> np.ndarray:
        """Return the logits of texts, (texts, vocab), or of one, (vocab,); excluded characters have minus infinity."""
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
    """Yield the characters of text 0 after the ids `before` (`Model.before`), each as soon as it is certain.

    Characters that may begin a stop string wait until it is clear that they do not. Without `with_nats`, nats are 0.
    The generator returns True if the text reached its own end, False if it was cut at its length.
    """
    length = how.ending.length
    if not length:
        return False
    text, watched = Text(how, 0, before[before != model.vocab.start].tolist()), how.watched(model.vocab.size)
    # How much of the end of a document the text has just had, where the last one is to be finished.
    finished = how.ending.end if how.ending.finish else None
    matched = 0 if finished is None else int(finished.matched(before[before != model.vocab.start]))
    waiting: list[Character] = []
    for made, character in enumerate(_drawn(model, before, how, text, with_nats), 1):
        chosen, cut = character.id, None
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
        if finished is None:
            whole = bool(how.ending.finish) and chosen == how.ending.line_break
        else:
            matched = int(finished.after[matched, chosen])
            whole = matched == len(finished)
            matched = 0 if whole else matched
        if made >= length and (whole or made == length + how.ending.finish):
            yield from waiting
            return whole
    raise AssertionError("random numbers have no end")


def _drawn(model: Model, before: np.ndarray, how: Generation, text: Text, with_nats: bool) -> Iterator[Character]:
    """Yield drawn characters after the ids `before`, without end; each is added to `text` before the next is asked for.

    NumPy draws the first ones, because compiled code would begin later. If a rule needs Python for each character, only
    the steps are compiled.
    """
    stream, sampling, allowed = Stream(model), how.sampling, Allowed(model, how)
    patience, in_python = model.compiled.patience(), bool(how.no_repeat or sampling.typical)
    if patience == 0:
        stream = model.compiled.faster(stream)
    logits = stream.feed(before[:, None])[-1, 0]
    for made, uniform in enumerate(text.draws, 1):
        chosen = pick(sampling.weights(allowed.of(logits, (text,))), uniform)
        yield from _characters([chosen], logits[None], with_nats)
        if patience is not None and made >= patience:
            stream, patience = model.compiled.faster(stream), None
            if isinstance(stream, CompiledStream) and not in_python:
                left = how.ending.length + how.ending.finish - made
                yield from _drawn_at_once(stream, chosen, how, text, allowed, with_nats, left)
        logits = stream.go_on(chosen)


def _drawn_at_once(
    stream: CompiledStream, chosen: int, how: Generation, text: Text, allowed: Allowed, with_nats: bool, left: int
) -> Iterator[Character]:
    """Yield drawn characters after one that was drawn, without end, of which `left` will be needed at most."""
    uniforms: list[float] = []
    while True:
        # All that is drawn after the end of the text is lost, so there are not many.
        wanted = max(1, min(stream.model.compiled.chunk, left))
        uniforms += islice(text.draws, wanted - len(uniforms))
        ids, logits = stream.draw(chosen, uniforms, how.sampling, allowed.mask, with_nats)
        yield from _characters(ids, logits, with_nats)
        chosen, uniforms, left = ids[-1], uniforms[len(ids) :], left - len(ids)


def _characters(ids: Sequence[int], logits: np.ndarray, with_nats: bool) -> Iterator[Character]:
    """Yield drawn characters with their cost, where `logits` are those of each; raise CharRNNError if one is no id."""
    size = logits.shape[1]
    costs: Iterable[float] = repeat(0.0)
    if with_nats:
        known = np.minimum(ids, size - 1)
        costs = cross_entropy(logits[: len(ids)], known).tolist()
    for chosen, nats in zip(ids, costs, strict=False):
        if chosen == size:
            raise not_a_number()
        yield Character(chosen, nats)


def whole(characters: Characters) -> Sample:
    """Return the text of a generator."""
    ended = False

    def each() -> Iterator[Character]:
        nonlocal ended
        ended = yield from characters

    made = list(each())
    ids, nats = (np.array([getattr(one, name) for one in made]) for name in Character._fields)
    return Sample(ids.astype(np.int32), nats, ended)


def sample_text(model: Model, prime: np.ndarray, how: Generation) -> str:
    """Return text 0 after the ids `prime`."""
    made = whole(generate_one(model, model.before(prime), how))
    return model.vocab.decode(made.in_order(model, len(prime) > 0).ids)


def not_a_number() -> CharRNNError:
    """Return the error for predictions that are not numbers; a draw then selects an id after the last one."""
    return CharRNNError(
        "The model's predictions are not numbers: the model is damaged, or its hidden state has become too large.",
        hint="charrnn verify RUN checks the weights.",
    )
