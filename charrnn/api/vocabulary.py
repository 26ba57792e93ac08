"""The characters of a text, and those of them that a model or a vocabulary file has never seen."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.api.generation import Notify
from charrnn.config import TextConfig, with_records
from charrnn.errors import CharRNNError, readable_by
from charrnn.inference.model import read_by
from charrnn.runs.checkpoint import read_header
from charrnn.runs.finding import find_checkpoint
from charrnn.runs.folder import Run
from charrnn.text.names import character_name
from charrnn.text.reader import Watch, read_text
from charrnn.text.sources import STDIN, check_include
from charrnn.text.text import Text
from charrnn.text.vocabulary import FORMAT, Vocabulary

# At most this many places of an unknown character are reported.
PLACES = 3


@dataclass(frozen=True)
class Characters:
    """The characters of a text, or of a model or vocabulary file: its vocabulary, and a report about them.

    of_bytes: whether the characters are bytes.
    """

    vocabulary: Vocabulary
    report: dict[str, Any]
    of_bytes: bool


def characters_of(
    corpus: Sequence[str],
    given: Mapping[str, Any],
    include: Sequence[str],
    against: str | None,
    watch: Watch,
    notify: Notify,
) -> Characters:
    """Return the characters of a text, or of the model or vocabulary file that `corpus` names.

    The report has `distinct` and `symbols`, a dict for each character; for a text also `characters` and `bytes`.
    against: a model, which then sets how the text is read, or a vocabulary file. With it, `symbols` has only the
    characters that it lacks (for a text, with the first few places of each), and `unused` those that only it has.
    given: the settings for reading the text that were given (fields of TextConfig).
    """
    known, form = (None, with_records(TextConfig(**given))) if against is None else _known(against, given)
    other = _vocabulary_alone(corpus)
    if other is not None:
        _check_unread(corpus[0], given, include)
        alone = TextConfig(bytes=_is_of_bytes(corpus[0]))
        if against is not None and not against.endswith(".json") and alone.bytes != form.bytes:
            raise CharRNNError(
                f"{corpus[0]} and {against}: one is a model of bytes, and one is not.",
                hint="Compare models of bytes, or models of characters.",
            )
        form = alone
        symbols = [_named(symbol, form.bytes) for symbol in other.symbols]
        report: dict[str, Any] = {"distinct": len(other.symbols), "symbols": symbols}
        counts: Iterable[str] = other.symbols
    else:
        check_include(include, corpus)
        # A model says whether it reads bytes.
        with readable_by("encoding", "errors", *(() if against else ("bytes",))):
            text = read_text(corpus, form, include, watch)
        # A trained model has already learnt how to use carriage returns, so a notice about them would not help.
        for notice in (*text.notices, *(text.carriage_returns() if against is None else ())):
            notify(notice)
        counts, report = text.counted, _counted(text)
    if known is not None:
        report["symbols"] = [symbol for symbol in report["symbols"] if symbol["character"] not in known.symbols]
        report["unused"] = sorted(set(known.symbols) - set(counts))
        if other is None:
            places = text.places([symbol["character"] for symbol in report["symbols"]], PLACES)
            report["symbols"] = [{**symbol, "places": places[symbol["character"]]} for symbol in report["symbols"]]
    return Characters(Vocabulary.of(counts, other is not None and other.has_unknown), report, form.bytes)


def _known(target: str, given: Mapping[str, Any]) -> tuple[Vocabulary, TextConfig]:
    """Return the vocabulary of a model or of a vocabulary file, and how a text is read to be compared with it."""
    if target.endswith(".json"):
        return Vocabulary.load(target), with_records(TextConfig(**given))
    header = read_header(find_checkpoint(target))
    if given.get("bytes") and not header.text.bytes:
        raise CharRNNError(f"{target} is a model of characters, which does not read bytes.", hint="Leave out `bytes`.")
    return header.vocab, replace(read_by(header.text, header.vocab), **given)


def vocabulary_of(target: str) -> Vocabulary:
    """Return the vocabulary of a model or of a vocabulary file."""
    return Vocabulary.load(target) if target.endswith(".json") else read_header(find_checkpoint(target)).vocab


def _is_of_bytes(target: str) -> bool:
    return not target.endswith(".json") and read_header(find_checkpoint(target)).text.bytes


def _vocabulary_alone(corpus: Sequence[str]) -> Vocabulary | None:
    """Return the vocabulary that `corpus` names, if it is a run, a checkpoint or a vocabulary file; None for a text."""
    found = [_vocabulary_named(target) for target in corpus]
    if len(corpus) > 1 and any(found):
        last = max(place for place, one in enumerate(found) if one)
        others = [target for place, target in enumerate(corpus) if place != last]
        raise CharRNNError(
            f"{corpus[last]} is a model or a vocabulary file; it cannot be combined with other texts.",
            hint=f"To compare two: {shlex.join(['charrnn', 'vocab', *others, '--against', corpus[last]])}",
        )
    return found[0]


def _vocabulary_named(target: str) -> Vocabulary | None:
    """Return the vocabulary of a run, a checkpoint or a vocabulary file; None for anything else."""
    if target == STDIN:
        return None
    if not os.path.exists(target):
        with suppress(CharRNNError):
            return vocabulary_of(target)
        return None
    if target.endswith(".safetensors") or (os.path.isdir(target) and _is_run(Run(Path(target)))):
        return vocabulary_of(target)
    if target.endswith(".json") and os.path.isfile(target):
        with open(target, "rb") as file:
            return vocabulary_of(target) if FORMAT.encode() in file.read(100) else None
    return None


def _is_run(run: Run) -> bool:
    return run.best.is_file() or run.newest() is not None


def _check_unread(target: str, given: Mapping[str, Any], include: Sequence[str]) -> None:
    """Raise CharRNNError if settings for reading a text are given, but there is no text."""
    names = [name for name in given if name != "bytes"] + (["include"] if include else [])
    if names:
        raise CharRNNError(
            f"{target} is a model or a vocabulary file; `{names[0]}` is only for reading a text.",
            hint="Leave it out, or name a text.",
        )


def _counted(text: Text) -> dict[str, Any]:
    """Return a text's characters, the most frequent first; equally frequent ones are in the order of code points."""
    ranked = sorted(text.counted.items(), key=lambda item: (-item[1], item[0]))
    symbols = [
        {**_named(symbol, text.config.bytes), "count": count, "share": count / len(text)} for symbol, count in ranked
    ]
    return {"characters": len(text), "distinct": len(symbols), "bytes": text.byte_count, "symbols": symbols}


def _named(character: str, is_byte: bool) -> dict[str, Any]:
    if is_byte:
        return {"character": character, "code_point": f"0x{ord(character):02X}", "name": f"BYTE {ord(character)}"}
    return {"character": character, "code_point": f"U+{ord(character):04X}", "name": character_name(character)}
