"""How text is generated: what a caller asks for by name, made to what `charrnn.inference` takes."""

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, TypedDict

import numpy as np

from charrnn.api.given import check_given, check_unknown, check_whole, one_or_several
from charrnn.errors import CharRNNError
from charrnn.inference.generation import Ending, Generation
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.text.decoding import prepare

# Is told, in a sentence, what a person should know.
Notify = Callable[[str], None]
# In a model of lines, where lines flow: characters beyond `length` that the last line may take to come to its end.
FINISH = 2000
# Notices of single lines that are worth telling.
NOTICES = 10
FILTERS = ("top_k", "top_p", "min_p", "typical")
# What a beam search, which draws nothing, has no use for.
_DRAWING = ("temperature", *FILTERS, "no_repeat", "seed")


def unheard(notice: str) -> None:
    """Tell nobody a notice."""


def first_few(notify: Notify) -> Notify:
    """Return what tells notices of single lines: the first few, and then that there are more."""
    left = chain(repeat(notify, NOTICES), [lambda notice: notify("… and so in other lines.")], repeat(unheard))
    return lambda notice: next(left)(notice)


def once(notify: Notify, notice: str) -> Callable[[], None]:
    """Return what tells a notice, the first time that it is called."""
    untold = iter([notice])

    def tell() -> None:
        for left in untold:
            notify(left)

    return tell


class How(TypedDict, total=False):
    """How text is generated; all may be left out, and None is as left out.

    temperature: lower is safer, 0 takes the likeliest character. top_k, top_p, min_p, typical: filters
    (`charrnn.inference.sampling.Sampling`). until: texts before which generation stops, with keep_until after them.
    lines, documents: after how many of these it stops. allow, forbid: the only characters that are drawn; those that
    never are. no_repeat: never write so many characters that have occurred already. seed: of the random numbers;
    without one each call gives another text. unknown: what becomes of characters of the prime that the model has never
    seen: "error", "skip" or "replace". For a model of bytes a str is its UTF-8; `b"\\xff"` is a byte that UTF-8 has
    not.
    """

    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical: float | None
    until: str | bytes | Sequence[str | bytes] | None
    keep_until: bool | None
    lines: int | None
    documents: int | None
    allow: str | bytes | None
    forbid: str | bytes | None
    no_repeat: int | None
    seed: int | None
    unknown: str | None


@dataclass(frozen=True, eq=False)
class Sample:
    """A generated text.

    ids, (characters,): of the model's vocabulary. nats, (characters,): what each costs the model, -log of its
    probability at temperature 1 and before any filter. ended: whether it came to its end before its length. end_nats:
    what the end costs that is left out of the text. prime: what it goes on from. temperature: by which it was drawn,
    None if it was not.
    """

    text: str
    ids: np.ndarray
    nats: np.ndarray
    ended: bool
    end_nats: float = 0.0
    prime: str = ""
    temperature: float | None = None

    @property
    def log_probability(self) -> float:
        """Return the natural logarithm of the text's probability."""
        return 0.0 - float(self.nats.sum(dtype="float64"))

    @property
    def bits(self) -> float:
        """Return the bits that the text costs the model."""
        return float(self.nats.sum(dtype="float64")) / math.log(2)

    @property
    def bits_per_char(self) -> float | None:
        """Return the bits a character, None of an empty text."""
        return self.bits / len(self.ids) if len(self.ids) else None

    @property
    def bits_with_end(self) -> float:
        """Return the bits that the text costs with its end."""
        return self.bits + self.end_nats / math.log(2)

    @property
    def probability_with_end(self) -> float:
        """Return the probability of the text with its end; of one that was cut, that a text begins so."""
        return 2.0**-self.bits_with_end

    def without_line_end(self) -> "Sample":
        """Return the text without the line break at its end, which `score` and `complete` do not count."""
        return self.without_end("\n")

    def without_end(self, end: str, before: str = "") -> "Sample":
        """Return the text without what ends it, which may have begun in the text `before` it, if that is so."""
        if not end or not (before + self.text).endswith(end):
            return self
        length = max(0, len(self.ids) - len(end))
        end_nats = self.end_nats + float(self.nats[length:].sum(dtype="float64"))
        return replace(self, text=self.text[:length], ids=self.ids[:length], nats=self.nats[:length], end_nats=end_nats)

    def to_json(self) -> dict[str, Any]:
        """Return what a record says of it."""
        return {
            "text": self.text,
            "characters": len(self.ids),
            "log_probability": self.log_probability,
            "bits": self.bits,
            "bits_per_char": self.bits_per_char,
            "ended": self.ended,
        }


def sampling(how: How) -> Sampling:
    """Return how the next character is drawn."""
    given: dict[str, Any] = {name: how.get(name) for name in ("temperature", *FILTERS)}
    drawn = Sampling(**{name: value for name, value in given.items() if value is not None})
    if drawn.temperature == 0:
        check_random(how, FILTERS)
    return drawn


def check_random(how: How, names: Sequence[str]) -> None:
    """Raise CharRNNError if something of `names` is given, which has no effect at temperature 0."""
    if given := _given(how, names):
        raise CharRNNError(
            f"`temperature=0` takes the likeliest characters; {given} no effect with it.",
            hint="Give a `temperature` above 0 to draw characters.",
        )


def check_beam(beam: int, how: How, best: int = 1) -> None:
    """Raise CharRNNError unless a beam search for texts can be made, and nothing is given that is for drawing."""
    check_whole("beam", beam, least=1)
    check_whole("best", best, least=1, most=beam)
    if given := _given(how, _DRAWING):
        raise CharRNNError(
            f"`beam` searches for the likeliest text and draws nothing; {given} no effect with it.",
            hint="Leave out what is for drawing, or `beam`.",
        )


def best_of_drawn() -> CharRNNError:
    """Return the error of asking for the best of texts that are drawn, and not searched for."""
    return CharRNNError("`best` ranks the texts that `beam` finds.", hint="Give `beam` too, at least as large.")


def _given(how: How, names: Sequence[str]) -> str:
    """Return which of `names` are given, as the subject of a sentence with its verb; nothing if none is."""
    given = [f"`{name}`" for name in names if how.get(name) is not None]
    return f"{' and '.join(given)} {'have' if given[1:] else 'has'}" if given else ""


def generation(model: Model, length: int, how: How, notify: Notify, flowing: bool = False) -> Generation:
    """Return how texts are generated; CharRNNError if what is asked for cannot be had of this model.

    flowing: let the last line of a model of lines come to its end, where nothing else ends the text.
    """
    foreign = set(how) - set(How.__annotations__)
    if foreign:
        raise CharRNNError(
            f"Sampling has no parameter `{min(foreign)}`.", hint=f"It has {', '.join(How.__annotations__)}."
        )
    check_given(**how)
    check_unknown(how.get("unknown"))
    check_whole("length", length, least=0)
    _check_counts(how)
    check_keep(how)
    seed = how.get("seed")
    if seed is not None:
        check_whole("seed", seed, 0, 2**63 - 1)
    drawn, end = sampling(how), ending(model, length, how, notify)
    banned = _banned(model, how.get("allow"), how.get("forbid"), end)
    if flowing and are_lines(model, how) and end.line_break not in banned:
        end = replace(end, finish=FINISH)
    n = how.get("no_repeat")
    used_up = once(notify, f"`no_repeat={n}`: nothing is left to draw that would not repeat, so from here on texts do.")
    return Generation(end, drawn, banned, n, secrets.randbits(63) if seed is None else seed, used_up)


def are_lines(model: Model, how: How) -> bool:
    """Return whether a model of lines makes lines: `how` does not say otherwise where a text ends."""
    told = how.get("lines") is not None or how.get("documents") is not None or how.get("until")
    return model.text.lines and not told and "\n" in model.vocab.symbols


def _check_counts(how: How) -> None:
    counts = {"lines": how.get("lines"), "documents": how.get("documents"), "no_repeat": how.get("no_repeat")}
    for name, value in counts.items():
        if value is not None:
            check_whole(name, value, least=1)
    if how.get("lines") is not None and how.get("documents") is not None:
        raise CharRNNError("`lines` and `documents` exclude each other.", hint="Give one of them.")


def by_lines(model: Model, how: How) -> How:
    """Return how samples are made: in a model of lines or documents each is one, unless `how` says where it ends."""
    if are_lines(model, how):
        return {**how, "lines": 1}
    told = how.get("lines") is not None or how.get("documents") is not None or how.get("until")
    if told or not model.text.divided or model.end is None:
        return how
    return {**how, "documents": 1}


def several(model: Model, how: How) -> int:
    """Return how many lines, or documents, a sample is to have of a model of those; 1 where that is not said."""
    _check_counts(how)
    if not model.text.divided or model.end is None:
        return 1
    return (how.get("lines") if model.text.lines else None) or how.get("documents") or 1


def check_keep(how: How) -> None:
    """Raise CharRNNError if there is no `until` that could be kept."""
    if how.get("keep_until") and not how.get("until"):
        raise CharRNNError("`keep_until` keeps the text of `until`, and none was given.", hint="Give `until` too.")


def ending(model: Model, length: int, how: How, notify: Notify) -> Ending:
    """Return where texts end; tell of a text of `until` that the model cannot write."""
    stops = []
    until, lines, documents = how.get("until"), how.get("lines"), how.get("documents")
    for text in one_or_several(
        "until", () if until is None else until, (str, bytes), "a str or bytes, or several in a list"
    ):
        ids = model.vocab.table(prepare(text, model.reads)).tolist()
        if not ids:
            raise CharRNNError("`until` is empty; it must be a text to stop before.")
        if min(ids) < 0:
            notify(f"`until={text!r}`: the model lacks some of its characters, so it will never write that.")
            continue
        stops.append(tuple(ids))
    line_break = model.vocab.symbols.index("\n") if "\n" in model.vocab.symbols else None
    if lines is not None and line_break is None:
        raise CharRNNError("`lines` counts line breaks, and the model has never seen one.", hint="Use `length`.")
    keep = bool(how.get("keep_until"))
    if documents is None:
        return Ending(length, tuple(stops), lines, line_break, keep=keep)
    if model.document_end is None:
        raise CharRNNError(
            "`documents` counts documents, and nothing ends the documents of this model.",
            hint="Use `length`, `lines` or `until`. A model of documents is trained with `documents_between='TEXT'`, "
            "`field`, `lines` or `separator`.",
        )
    return Ending(length, tuple(stops), None, line_break, keep=keep, documents=documents, end=model.document_end)


def _banned(model: Model, allow: str | bytes | None, forbid: str | bytes | None, ending: Ending) -> list[int]:
    """Return the ids that must not be drawn."""
    vocab = model.vocab
    banned: set[int] = set()
    if allow is not None and not len(allow):
        raise CharRNNError(
            "`allow` is empty; it must be the characters that may be drawn.", hint="Such as `allow='0123456789'`."
        )
    if allow is not None:
        allowed = set(vocab.table(prepare(allow, model.reads)).tolist()) - {-1}
        if not allowed:
            raise CharRNNError(
                f"The model knows none of the characters of `allow={allow!r}`.",
                hint="charrnn vocab RUN shows what it knows.",
            )
        allowed |= {id for stop in ending.stops for id in stop} | ({ending.line_break} if ending.lines else set())
        allowed |= set(ending.end.ids if ending.end else ())
        banned = set(range(len(vocab.symbols))) - allowed
    if forbid is not None:
        banned |= set(vocab.table(prepare(forbid, model.reads)).tolist()) - {-1}
    left = set(range(len(vocab.symbols))) - banned
    if banned and left <= {ending.line_break, *(model.end.ids if model.end else ())}:
        but = f" but {' and '.join(repr(vocab.symbols[id]) for id in left)}: all would be empty" if left else ""
        both = [f"`{name}`" for name, value in (("allow", allow), ("forbid", forbid)) if value is not None]
        given = f"{' and '.join(both)} {'leave' if both[1:] else 'leaves'}"
        raise CharRNNError(f"{given} no character to draw{but}.", hint="Forbid fewer, or allow more.")
    return sorted(banned)
