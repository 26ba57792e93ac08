"""The facts that `charrnn inspect` shows about a checkpoint, in addition to its tables: a row of text for each."""

import math
import shlex
import unicodedata
from collections.abc import Collection, Iterator
from typing import Any

from charrnn.api.history import PARTS, Record, evaluation_of, number
from charrnn.cli.console import printable
from charrnn.cli.views.report import accuracy
from charrnn.config import BUDGET, DEFAULT_RATES, DEFAULT_TEXT, TrainConfig

# A row shows at most this many lines.
LINES = 4
SPACE = "\u2423"
# Settings that are shown even if they have their default values.
_ALWAYS = ("batch", "seq", "optimizer", "lr")

Row = tuple[str, list[str]]


def rows(facts: dict[str, Any], width: int) -> Iterator[Row]:
    """Yield each label with its lines; lines of characters are at most `width` wide."""
    yield from _model(facts)
    vocabulary = facts["vocabulary"]
    unknown = " and the unknown symbol" if vocabulary["unknown"] else ""
    lines = _characters(vocabulary["symbols"], facts["text"]["bytes"], width, facts["file"])
    yield f"{_read(facts)}s", [f"{len(vocabulary['symbols']):,}{unknown}", *lines]
    changed = _changed(facts["text"], vars(DEFAULT_TEXT))
    if changed:
        yield "text", [_words(changed)]
    if facts["training"]:
        yield "training", list(_training(facts["training"]))
    yield from _corpus(facts["progress"], _read(facts))
    yield from _progress(facts["progress"], facts["history"], facts["unit"])
    yield from figures(facts)


def _model(facts: dict[str, Any]) -> Iterator[Row]:
    from charrnn.cells import CELLS

    model, step = facts["model"], number(facts["step"])
    if facts["run"] is not None:
        yield "run", [printable(facts["run"])]
    yield "file", [printable(facts["file"])]
    written = f"format {facts['format']}, written by charrnn {printable(facts['version'])}"
    yield "", [written if step is None else f"step {step:,}, {written}"]
    yield "cell", [f"{model['cell']} ({CELLS[model['cell']].paper})"]
    of = f"{model['layers']} of {model['units']:,} units, {model['stack']}"
    width = "one-hot" if model["embedding"] is None else f"an embedding of {model['embedding']:,}"
    attention = f"; attention to {model['attention']:,} {_read(facts)}s" if model.get("attention") else ""
    yield "layers", [f"{of}; the input is {width}{attention}"]
    if model.get("classes"):
        yield "labels", [", ".join(map(printable, model["classes"]))]
    yield "parameters", [f"{facts['parameters']:,}"]


def _characters(symbols: str, is_bytes: bool, width: int, file: str) -> list[str]:
    """Return lines of the characters; if there are many, only the first ones, and the command that shows all."""
    from rich.cells import cell_len

    lines = [""]
    for place, symbol in enumerate(symbols):
        shown = _character(symbol, is_bytes)
        if cell_len(lines[-1] + shown) > width:
            if len(lines) == LINES:
                more = f"and {len(symbols) - place:,} more: charrnn vocab {printable(shlex.quote(file))}"
                return [*lines, more]
            lines.append("")
        lines[-1] += shown
    return lines


def _character(symbol: str, is_byte: bool) -> str:
    """Return a character as it is, or its escape if it is invisible or a combining mark."""
    alone = not unicodedata.category(symbol).startswith("M") and not (is_byte and symbol > "\x7f")
    if not alone or symbol in ("\\", SPACE):
        return symbol.encode("unicode_escape").decode()
    return SPACE if symbol == " " else printable(symbol)


def _training(settings: dict[str, Any]) -> Iterator[str]:
    always = {name: settings[name] for name in _ALWAYS}
    if always["lr"] is None:
        always["lr"] = DEFAULT_RATES[settings["optimizer"]]
    budget = {name: settings[name] for name in BUDGET if settings[name] is not None}
    yield _words(always | budget)
    changed = _changed(settings, vars(TrainConfig()), (*_ALWAYS, *BUDGET))
    if changed:
        yield f"not the default: {_words(changed)}"


def _changed(settings: dict[str, Any], defaults: dict[str, Any], but: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings that differ from the defaults, without those in `but`."""
    return {name: value for name, value in settings.items() if value != defaults[name] and name not in but}


def _words(settings: dict[str, Any]) -> str:
    """Return settings under the names of their options: "batch 32, clip-norm off"."""
    return ", ".join(f"{name.replace('_', '-')} {word(value)}" for name, value in settings.items())


def word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value if value.isprintable() and value.strip() == value else repr(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _read(facts: dict[str, Any]) -> str:
    """Return what a model reads: characters or bytes."""
    return "byte" if facts["text"].get("bytes") else "character"


def _corpus(progress: dict[str, Any], unit: str) -> Iterator[Row]:
    corpus = progress.get("corpus")
    if isinstance(corpus, dict):
        count = number(corpus.get("characters"))
        counted = [] if count is None else [f"{count:,} {unit}s"]
        yield "corpus", [*_first(corpus.get("sources"), "sources"), *counted]
        yield "  SHA-256", [printable(str(corpus.get("sha256")))]
        if corpus.get("val_sources"):
            yield "  validation", _first(corpus["val_sources"], "sources")
    shards, backend = number(progress.get("shards")), progress.get("backend", "tensorflow")
    if shards is not None:
        yield "backend", [f"{printable(str(backend))}, {shards:,} shard{'' if shards == 1 else 's'}"]


def _first(items: Any, what: str) -> list[str]:
    """Return the first items as lines, and the number of further ones."""
    shown = [printable(str(item)) for item in items] if isinstance(items, list) else []
    return shown if len(shown) <= LINES else [*shown[: LINES - 1], f"and {len(shown) - LINES + 1:,} more {what}"]


def _progress(progress: dict[str, Any], history: list[Record], unit: str) -> Iterator[Row]:
    names = ("step", "total", "seconds", "best_step", "best_nats")
    step, total, seconds, best_step, nats = (number(progress.get(name)) for name in names)
    if step is not None:
        words = [f"step {step:,}" + ("" if total is None else f" of {total:,}")]
        # The epoch is the step divided by the steps per epoch, a number that is not in the log.
        counted = [(record["step"], epoch) for record in history if (epoch := number(record.get("epoch")))]
        if counted and counted[-1][0]:
            words.append(f"{step * counted[-1][1] / counted[-1][0]:,.2f} epochs")
        words += [] if seconds is None else [duration(seconds)]
        yield "trained", [", ".join(words)]
    if nats is not None and best_step is not None:
        share = number(progress.get("best_accuracy"))
        right = "" if share is None else f"{share:.1%} right and "
        yield "best", [f"{right}{nats / math.log(2):.4f} bits per {unit} in validation, at step {best_step:,}"]
    went_back = [f"to step {record['step']:,}: {record['rollback']}" for record in history if record.get("rollback")]
    if went_back:
        yield "went back", _first(went_back, "times")


def figures(facts: dict[str, Any]) -> Iterator[Row]:
    """Yield the exact figures of each held-out part."""
    for part in PARTS:
        evaluation = evaluation_of(facts[part], facts["unit"])
        if evaluation is not None:
            exact = f"{evaluation.bits_per_char:.4f} bits per {evaluation.unit} ({evaluation.nats_per_char:.4f} nats)"
            of = evaluation.repeated
            also = "" if of is None else f"; {printable(str(of))} also occur in the training part"
            right = [] if evaluation.accuracy is None else [accuracy(evaluation)]
            yield part, [*right, f"{exact}, computed over {evaluation.characters:,} {evaluation.unit}s{also}"]


def duration(seconds: float) -> str:
    """Return a time in its two largest units: "1 h 12 min"."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 1:
        return f"{int(hours):,} h {int(minutes) % 60} min"
    return f"{int(minutes)} min {int(seconds) % 60} s" if minutes >= 1 else f"{seconds:.0f} s"
