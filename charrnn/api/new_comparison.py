"""The preparation of a comparison: its text, its candidates and its folder, or what is left of an older one."""

import hashlib
import math
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.candidates import candidate, counter, first_usable, labels
from charrnn.api.comparison import comparison_of
from charrnn.api.datasets import Sources, fitted, new_dataset
from charrnn.api.events import Event, Noticed
from charrnn.api.recorded import check_ordinary
from charrnn.api.settings import plain, settings
from charrnn.atomic import sync_folder, write_durably
from charrnn.data.corpus import Dataset
from charrnn.errors import CharRNNError
from charrnn.runs import comparison as file
from charrnn.runs import folder
from charrnn.text.reader import read_text

if TYPE_CHECKING:
    from charrnn.api.comparing import Comparing


def new_comparison(
    comparing: "Comparing",
    sources: Sources,
    varied: list[dict[str, Any]],
    params: int | None,
    seeds: Sequence[int],
    budget: dict[str, Any],
    place: dict[str, Any],
    given: dict[str, Any],
    name: str | None,
    out: Path | None,
) -> Generator[Event, None, file.Record]:
    """Prepare a new comparison: read its text, choose its candidates, make its folder, and return its record."""
    if not sources.corpus:
        raise CharRNNError("No text was named.", "Name a text: `charrnn.compare('corpus.txt')`")
    given = {name: plain(value) for name, value in given.items()}
    _check_common(given, varied[0], params)
    limit = {"steps": 1} if "characters" in budget else budget
    all_given = [{**given, **one, **limit} for one in varied]
    chosen = first_usable(all_given)
    if chosen.train.split != "char-rnn" and not chosen.train.val and not sources.val_file:
        raise CharRNNError(
            "With `val=0` no text is left for validation, by which candidates are compared.",
            "Leave it out, or name a text for validation: `val_file`",
        )
    folder.check_name(name, out, left_empty=True)
    _, data = yield from new_dataset(sources, chosen, None, comparing.watch)
    if not data.parts.val:
        raise CharRNNError("The text is too short: nothing is left for validation.", "Use a longer text.")
    count = counter(data.corpus.vocab.size, data.classes)
    if "characters" in budget:
        all_given = [{**one, "steps": _steps(one, budget["characters"], sources, data)} for one in all_given]
    made = tuple(candidate(label, one, params, count) for label, one in zip(labels(varied), all_given, strict=True))
    if len({one.name for one in made}) < len(made):
        raise CharRNNError("Two candidates would have the same name.", "Compare them one after the other.")
    if all(one.refused for one in made):
        raise CharRNNError(made[0].refused or "")
    with comparing.undisturbed():
        new = folder.create_run(name, f"{data.corpus.text.name}-compare", out, left_empty=True)
        try:
            comparing.hold(new.path)
            record = file.Record(
                tuple(_kept(new, data)),
                data.corpus.text.sha256,
                _reading(sources, data),
                place,
                budget,
                tuple(seeds),
                made,
                "label" if data.classes else data.corpus.text.config.unit,
                val_sha256=data.validation.text.sha256 if data.validation else None,
                vocab_sha256=vocabulary_digest(sources.vocab),
            )
            file.write(new.path, record)
        except BaseException:
            comparing.tidy()
            shutil.rmtree(new.path, ignore_errors=True)
            raise
        comparing.record = record
        sync_folder(new.path.parent)
    return record


def _check_common(given: Mapping[str, Any], varied: Mapping[str, Any], params: int | None) -> None:
    """Raise CharRNNError for a setting of all candidates that a comparison has in another form."""
    if given.get("epochs") is not None:
        raise CharRNNError("`epochs` is no budget of a comparison.", "Use `characters`, `steps` or `minutes`.")
    twice = [name for name in given if name in varied]
    if twice:
        raise CharRNNError(f"`{twice[0]}` is both a setting of all candidates and one of `vary`.", "Leave out one.")
    if params is not None and ("units" in given or "units" in varied):
        raise CharRNNError("`params` chooses the units of each candidate.", "Leave out `units`, or `params`.")


def _steps(given: dict[str, Any], characters: int, sources: Sources, data: Dataset) -> int:
    """Return the number of steps in which a candidate reads so many characters, about."""
    try:
        chosen = settings(given)
    except CharRNNError:
        # It is refused later.
        return 1
    config = fitted(chosen.train, data.corpus.text, bool(sources.val_file), "split" in chosen.named)
    return max(1, math.ceil(characters / (config.batch * config.seq)))


def _kept(new: folder.Run, data: Dataset) -> list[str]:
    """Write the texts of stdin and pipes into the folder; return where all texts are."""
    text = data.corpus.text
    for source, content in text.kept.items():
        write_durably(new.kept(source), content)
    return [os.path.abspath(source) for source in new.found_again(text.sources)]


def _reading(sources: Sources, data: Dataset) -> dict[str, Any]:
    """Return the other arguments of `train_events` that say what is read."""
    return {
        "include": list(sources.include),
        "val_file": [] if data.validation is None else list(data.validation.text.sources),
        "vocab": None if sources.vocab is None else os.path.abspath(sources.vocab),
        "min_count": sources.min_count,
    }


def vocabulary_digest(path: str | Path | None) -> str | None:
    """Return the SHA-256 of the file of a vocabulary; None if there is no such file."""
    try:
        return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def continued(name: str, out: Path | None, comparing: "Comparing") -> Generator[Event, None, file.Record]:
    """Prepare a comparison that goes on, and return its record."""
    path = file.find_comparison(name, out)
    record = file.read(path)
    if comparison_of(path, record).is_complete and not record.failures:
        comparing.path = path
        return record
    comparing.hold(path)
    # Another process may have changed it before the lock was taken.
    comparing.record = record = file.read(path)
    usable = next(one for one in record.candidates if one.refused is None)
    form = settings(usable.settings).text
    include = record.reading.get("include", ())
    check_ordinary(record.text, include, "Put the text back.", "comparison")
    text = read_text(record.text, form, include, comparing.watch)
    _check_same("text", text.sha256, record.sha256, path)
    if record.reading.get("val_file") and record.val_sha256 is not None:
        check_ordinary(record.reading["val_file"], include, "Put the text back.", "comparison")
        text = read_text(record.reading["val_file"], form, include, comparing.watch)
        _check_same("validation text", text.sha256, record.val_sha256, path)
    _check_same("vocabulary", vocabulary_digest(record.reading.get("vocab")), record.vocab_sha256, path)
    yield Noticed(f"Resuming the comparison {path.name}.", is_advice=True)
    return record


def _check_same(what: str, now: str | None, before: str | None, path: Path) -> None:
    if now != before:
        raise CharRNNError(
            f"The {what} of the comparison {path} has changed since it began.",
            f"Put the old {what} back, or compare again under another `name`.",
        )
