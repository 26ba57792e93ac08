"""How text is generated: the named arguments of a caller become what `charrnn.inference` needs."""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, TypedDict

import numpy as np

from charrnn.api.given import check_given, check_unknown, check_whole, one_or_several
from charrnn.errors import CharRNNError
from charrnn.inference.generation import Ending, Generation
from charrnn.inference.kinds import check_predicts_characters
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.text.decoding import prepare

# A function that is called with each message for the user, of one sentence.
Notify = Callable[[str], None]
# If a model of lines writes line after line: how many characters more than `length` the last line may have, to end.
FINISH = 2000
# At most this many notices about single lines are given.
NOTICES = 10
FILTERS = ("top_k", "top_p", "min_p", "typical")
# Arguments that have no effect on a beam search, because it draws nothing.
_DRAWING = ("temperature", *FILTERS, "no_repeat", "seed")


def unheard(notice: str) -> None:
    """Ignore a notice."""


def first_few(notify: Notify) -> Notify:
    """Return a function that passes on the first few notices about single lines, and then says that there are more."""
    left = chain(repeat(notify, NOTICES), [lambda notice: notify("… and also in other lines.")], repeat(unheard))
    return lambda notice: next(left)(notice)


def once(notify: Notify, notice: str) -> Callable[[], None]:
    """Return a function that gives a notice, but only the first time that it is called."""
    untold = iter([notice])

    def tell() -> None:
        for left in untold:
            notify(left)

    return tell


class How(TypedDict, total=False):
    """How text is generated; all of these are optional, and None means not given.

    temperature: lower ones give more predictable text, 0 takes the likeliest character. top_k, top_p, min_p, typical:
    filters (`charrnn.inference.sampling.Sampling`). until: texts before which generation stops; with keep_until it
    stops after them. lines, documents: stop after this many of these. allow: draw only these characters. forbid: never
    draw these. no_repeat: never write a sequence of this many characters a second time. seed: of the random numbers;
    without one each call gives another text. unknown: what to do with characters of the prime that the model has never
    seen: "error", "skip" or "replace". clamp: hold units of the hidden state at values, {"layer1/c/117": 2.5}, from the
    first step on (`charrnn.inference.holding`). For a model of bytes a str means its UTF-8; `b"\\xff"` is a byte that
    UTF-8 never has.
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
    clamp: Mapping[str, float] | None


@dataclass(frozen=True, eq=False)
class Sample:
    """A generated text.

    ids, (characters,): in the model's vocabulary. nats, (characters,): what each character costs the model, -log of its
    probability at temperature 1 and before any filter. ended: whether it came to its end before its length. end_nats:
    what the end costs, if it is not part of the text. prime: the text that it continues. temperature: at which it was
    drawn, None if it was not drawn.
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
        """Return how many bits the text costs the model."""
        return float(self.nats.sum(dtype="float64")) / math.log(2)

    @property
    def bits_per_char(self) -> float | None:
        """Return the bits per character; None for an empty text."""
        return self.bits / len(self.ids) if len(self.ids) else None

    @property
    def bits_with_end(self) -> float:
        """Return how many bits the text costs, including its end."""
        return self.bits + self.end_nats / math.log(2)

    @property
    def probability_with_end(self) -> float:
        """Return the probability of the text with its end or, if it was cut, that a text begins with it."""
        return 2.0**-self.bits_with_end

    def without_line_end(self) -> "Sample":
        """Return the text without the line break at its end, which `score` and `complete` do not count."""
        return self.without_end("\n")

    def without_end(self, end: str, before: str = "") -> "Sample":
        """Return the text without its `end`, if it has it; the end may begin in the text `before` it."""
        if not end or not (before + self.text).endswith(end):
            return self
        length = max(0, len(self.ids) - len(end))
        end_nats = self.end_nats + float(self.nats[length:].sum(dtype="float64"))
        return replace(self, text=self.text[:length], ids=self.ids[:length], nats=self.nats[:length], end_nats=end_nats)

    def to_json(self) -> dict[str, Any]:
        """Return the values of a record by name."""
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
    """Raise CharRNNError if one of `names`, which have no effect at temperature 0, is given."""
    if given := _given(how, names):
        raise CharRNNError(
            f"`temperature=0` takes the likeliest characters; {given} no effect with it.",
            hint="Give a `temperature` above 0 to draw characters.",
        )


def check_beam(beam: int, how: How, best: int = 1) -> None:
    """Raise CharRNNError unless a beam search is possible, and no argument for drawing is given."""
    check_whole("beam", beam, least=1)
    check_whole("best", best, least=1, most=beam)
    if given := _given(how, _DRAWING):
        raise CharRNNError(
            f"`beam` searches for the likeliest text and draws nothing; {given} no effect with it.",
            hint="Leave out the settings for drawing, or leave out `beam`.",
        )


def best_of_drawn() -> CharRNNError:
    """Return the error for asking for the best of texts that are drawn instead of searched for."""
    return CharRNNError(
        "`best` ranks the texts that `beam` finds.", hint="Give `beam` too; it must be at least as large as `best`."
    )


def _given(how: How, names: Sequence[str]) -> str:
    """Return those of `names` that are given, as the subject of a sentence with its verb; "" if none is given."""
    given = [f"`{name}`" for name in names if how.get(name) is not None]
    return f"{' and '.join(given)} {'have' if given[1:] else 'has'}" if given else ""


def generation(model: Model, length: int, how: How, notify: Notify, flowing: bool = False) -> Generation:
    """Return how texts are generated; raise CharRNNError for an argument that this model cannot use.

    flowing: let the last line or document of a model of these come to its end, if nothing else ends the text.
    """
    check_predicts_characters(model)
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
    elif flowing and _are_documents(model, how) and not set(model.end.ids if model.end else ()) & set(banned):
        end = replace(end, finish=FINISH, end=model.end)
    n = how.get("no_repeat")
    used_up = once(
        notify, f"`no_repeat={n}`: every character that can be drawn would repeat text, so from here on text repeats."
    )
    return Generation(end, drawn, banned, n, secrets.randbits(63) if seed is None else seed, used_up)


def are_lines(model: Model, how: How) -> bool:
    """Return whether each text of a model of lines is a line: `how` does not set another end."""
    return model.text.one_per_line and not _is_told(how) and "\n" in model.vocab.symbols


def _check_counts(how: How) -> None:
    counts = {"lines": how.get("lines"), "documents": how.get("documents"), "no_repeat": how.get("no_repeat")}
    for name, value in counts.items():
        if value is not None:
            check_whole(name, value, least=1)
    if how.get("lines") is not None and how.get("documents") is not None:
        raise CharRNNError("`lines` and `documents` exclude each other.", hint="Leave out one of them.")


def by_lines(model: Model, how: How) -> How:
    """Return how samples are made: with a model of lines or documents each is one, unless `how` sets its end."""
    if are_lines(model, how):
        return {**how, "lines": 1}
    return {**how, "documents": 1} if _are_documents(model, how) else how


def _are_documents(model: Model, how: How) -> bool:
    """Return whether a model of documents generates documents: `how` does not say otherwise where a text ends."""
    return model.text.documents_between is not None and not _is_told(how) and model.end is not None


def _is_told(how: How) -> bool:
    """Return whether `how` says where a text ends, apart from its length."""
    return how.get("lines") is not None or how.get("documents") is not None or bool(how.get("until"))


def several(model: Model, how: How) -> int:
    """Return how many lines or documents a sample has, for a model of these; 1 if `how` does not say."""
    _check_counts(how)
    if not model.text.divided or model.end is None:
        return 1
    return (how.get("lines") if model.text.one_per_line else None) or how.get("documents") or 1


def check_keep(how: How) -> None:
    """Raise CharRNNError if `keep_until` is given without `until`."""
    if how.get("keep_until") and not how.get("until"):
        raise CharRNNError("`keep_until` keeps the text of `until`, but none was given.", hint="Give `until` too.")


def ending(model: Model, length: int, how: How, notify: Notify) -> Ending:
    """Return where texts end; give a notice about a text of `until` that the model cannot write."""
    stops = []
    until, lines, documents = how.get("until"), how.get("lines"), how.get("documents")
    for text in one_or_several(
        "until", () if until is None else until, (str, bytes), "a str or bytes, or several in a list"
    ):
        ids = model.vocab.table(prepare(text, model.reads)).tolist()
        if not ids:
            raise CharRNNError("`until` is empty; it must be a text to stop before.")
        if min(ids) < 0:
            notify(f"`until={text!r}`: the model does not know all of these characters, so it will never write them.")
            continue
        # A model that reads from the end writes the last character of a stop string first, but not that of an end.
        turned = model.text.reverse and tuple(ids) != tuple(model.end_ids.tolist())
        stops.append(tuple(ids[::-1] if turned else ids))
    line_break = model.vocab.symbols.index("\n") if "\n" in model.vocab.symbols else None
    if lines is not None and line_break is None:
        raise CharRNNError("`lines` counts line breaks, but the model has never seen one.", hint="Use `length`.")
    keep = bool(how.get("keep_until"))
    if documents is None:
        return Ending(length, tuple(stops), lines, line_break, keep=keep)
    if model.document_end is None:
        raise CharRNNError(
            "`documents` counts documents, but nothing ends the documents of this model.",
            hint="Use `length`, `lines` or `until`. A model of documents is trained with `documents_between='TEXT'`, "
            "`field`, `one_per_line` or `separator`.",
        )
    return Ending(length, tuple(stops), None, line_break, keep=keep, documents=documents, end=model.document_end)


def _banned(model: Model, allow: str | bytes | None, forbid: str | bytes | None, ending: Ending) -> list[int]:
    """Return the ids that must not be drawn."""
    vocab = model.vocab
    banned: set[int] = set()
    if allow is not None and not len(allow):
        raise CharRNNError(
            "`allow` is empty; it must be the characters that may be drawn.", hint="For example `allow='0123456789'`."
        )
    if allow is not None:
        allowed = set(vocab.table(prepare(allow, model.reads)).tolist()) - {-1}
        if not allowed:
            raise CharRNNError(
                f"The model knows none of the characters of `allow={allow!r}`.",
                hint="charrnn vocab RUN shows the characters that it knows.",
            )
        allowed |= {id for stop in ending.stops for id in stop} | ({ending.line_break} if ending.lines else set())
        allowed |= set(ending.end.ids if ending.end else ())
        banned = set(range(len(vocab.symbols))) - allowed
    if forbid is not None:
        banned |= set(vocab.table(prepare(forbid, model.reads)).tolist()) - {-1}
    left = set(range(len(vocab.symbols))) - banned
    if banned and left <= {ending.line_break, *(model.end.ids if model.end else ())}:
        ends = " and ".join(repr(vocab.symbols[id]) for id in left)
        but = f" except {ends}, so every text would be empty" if left else ""
        both = [f"`{name}`" for name, value in (("allow", allow), ("forbid", forbid)) if value is not None]
        given = f"{' and '.join(both)} {'leave' if both[1:] else 'leaves'}"
        raise CharRNNError(f"{given} no character to draw{but}.", hint="Forbid fewer characters, or allow more.")
    return sorted(banned)
