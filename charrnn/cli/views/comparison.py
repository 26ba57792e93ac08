"""The output of `charrnn inspect` for several runs: their facts in a table, and their losses in one chart."""

import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

from charrnn.api.history import Series, evaluation_of, losses, number
from charrnn.api.settings import ONLY_WITH
from charrnn.cli.console import printable
from charrnn.cli.views.chart import LETTERS, NARROWEST, draw_together
from charrnn.cli.views.contents import WIDTH
from charrnn.cli.views.heat import wanted
from charrnn.cli.views.summary import duration, word
from charrnn.cli.views.table import aligned
from charrnn.cli.views.units import short
from charrnn.config import DEFAULT_RATES
from charrnn.errors import CharRNNError

MOST = len(LETTERS)
# Columns that a value may be wide at most: names and paths can be very long.
_WIDEST = 24
_GAP = 2
# Settings that the row "model" shows already.
_OF_TITLE = ("cell", "layers", "units", "stack", "title")

Facts = dict[str, Any]


def check_count(count: int) -> None:
    """Raise CharRNNError if there are more runs than letters to mark them."""
    if count > MOST:
        raise CharRNNError(f"{count} runs were named; at most {MOST} can be compared at once.", "Name fewer runs.")


def together(runs: list[Facts]) -> str:
    """Return the whole output, as wide as the terminal, in colour if stdout gets colours."""
    terminal = sys.stdout.isatty()
    width = max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns) if terminal else WIDTH
    title = f"bits per {' or '.join(units(runs))}{', ' + of if (of := loss_shown(runs)) else ''}"
    chart = draw_together([(_name(facts), curve(facts)) for facts in runs], width, wanted(), title)
    sections = [*_tables(runs, width), "".join(f"{line}\n" for line in chart)]
    return "\n".join(filter(None, sections))


def warnings(runs: list[Facts]) -> Iterator[str]:
    """Yield the reasons why the losses of these runs cannot be compared."""
    if len(units(runs)) > 1:
        kinds = " and ".join(
            f"{', '.join(name(facts) for facts in runs if facts['unit'] == unit)} predict{_s(runs, unit)} {unit}s"
            for unit in units(runs)
        )
        yield f"{kinds}: compare their bits per byte, not their other losses."
    texts = {str(corpus.get("sha256")) for facts in runs if (corpus := _corpus(facts))}
    if len(texts) > 1:
        yield "These runs were trained on different texts, so their losses do not show which model is better."
    elif len({str(_held_out(facts)) for facts in runs if _corpus(facts)}) > 1:
        yield "These runs have different validation parts, so their losses do not show which model is better."


def _s(runs: list[Facts], unit: str) -> str:
    """Return the ending of a verb whose subject is the runs of a unit."""
    return "s" if sum(facts["unit"] == unit for facts in runs) == 1 else ""


def name(facts: Facts) -> str:
    """Return the name of a run, or the path of the file that was given instead."""
    return printable(str(facts["run"] or facts["file"]))


def units(runs: list[Facts]) -> list[str]:
    """Return the different units of the runs."""
    return list(dict.fromkeys(facts["unit"] for facts in runs))


def curve(facts: Facts) -> Series:
    """Return the losses of a run that are drawn: its validation losses or, if there are none, its training losses."""
    found = losses(facts["history"])
    return found.validation or found.train


def loss_shown(runs: list[Facts]) -> str:
    """Return the names of the losses that are drawn: "validation", "training", or both."""
    found = [losses(facts["history"]) for facts in runs]
    kinds = {"validation": any(one.validation for one in found)}
    kinds["training"] = any(one.train and not one.validation for one in found)
    return " or ".join(kind for kind, drawn in kinds.items() if drawn)


def _tables(runs: list[Facts], width: int) -> Iterator[str]:
    """Yield tables with a column for each run; each table has as many columns as fit the terminal."""
    rows = list(_rows(runs))
    heads = [label for label, _ in rows]
    columns = [[values[n] for _, values in rows] for n in range(len(runs))]
    first = _widest(heads)
    shown: list[list[str]] = []
    used = first
    for column in columns:
        needed = _GAP + _widest(column)
        if shown and used + needed > width:
            yield _table(heads, shown)
            shown, used = [], first
        shown.append(column)
        used += needed
    yield _table(heads, shown)


def _table(heads: list[str], columns: list[list[str]]) -> str:
    return aligned(list(zip(heads, *columns, strict=True)), "<" + ">" * len(columns))


def _rows(runs: list[Facts]) -> Iterator[tuple[str, list[str]]]:
    """Yield rows of a label and a value for each run: first facts, then the settings in which the runs differ."""
    per = f"bits/{short(units(runs)[0])}" if len(units(runs)) == 1 else "bits/unit"
    facts_shown: list[tuple[str, Callable[[Facts], str | None]]] = [
        ("model", lambda facts: facts["model"]["title"]),
        ("parameters", lambda facts: f"{facts['parameters']:,}"),
        ("text", _text),
        ("unit", lambda facts: facts["unit"] if len(units(runs)) > 1 else None),
        ("steps", lambda facts: _count(facts["progress"].get("step"))),
        ("time", lambda facts: _of(facts["progress"].get("seconds"), duration)),
        ("characters/s", _speed),
        ("best step", lambda facts: _count(facts["progress"].get("best_step"))),
        (f"best {per}", lambda facts: _of(facts["progress"].get("best_nats"), _in_bits)),
        (f"exact {per}", lambda facts: _exact(facts, "bits_per_char")),
        ("exact nats", lambda facts: _exact(facts, "nats_per_char")),
        ("exact bits/byte", lambda facts: _exact(facts, "bits_per_byte") if len(units(runs)) > 1 else None),
    ]
    yield "run", [f"{letter} {_name(facts)}" for letter, facts in zip(LETTERS, runs, strict=False)]
    for label, value in facts_shown:
        values = [value(facts) for facts in runs]
        if any(found is not None for found in values):
            yield label, ["-" if found is None else _cut(found) for found in values]
    settings = [_settings(facts) for facts in runs]
    for label in dict.fromkeys(label for one in settings for label in one):
        values = [one.get(label) for one in settings]
        if len(set(values)) > 1:
            yield f"--{label.replace('_', '-')}", ["-" if found is None else _cut(found) for found in values]


def _settings(facts: Facts) -> dict[str, str]:
    """Return the settings of a run as they are written on the command line."""
    training = dict(facts["training"] or {})
    if training and training["lr"] is None:
        training["lr"] = DEFAULT_RATES[training["optimizer"]]
    model = {label: value for label, value in facts["model"].items() if label not in _OF_TITLE}
    without_effect = {label for label, (other, values) in ONLY_WITH.items() if training.get(other) not in values}
    settings = {**model, **training, **facts["text"]}
    return {label: printable(word(value)) for label, value in settings.items() if label not in without_effect}


def _corpus(facts: Facts) -> Facts:
    corpus = facts["progress"].get("corpus")
    return corpus if isinstance(corpus, dict) else {}


def _held_out(facts: Facts) -> list[Any]:
    """Return the settings that determine the validation part of a run."""
    training = facts["training"] or {}
    names = ["val", "test", "split", *(["seed"] if training.get("split") == "documents" else [])]
    return [_corpus(facts).get("val_sha256"), *(training.get(label) for label in names)]


def _text(facts: Facts) -> str | None:
    sources = _corpus(facts).get("sources")
    if not isinstance(sources, list) or not sources:
        return None
    more = f" + {len(sources) - 1:,}" if len(sources) > 1 else ""
    return printable(os.path.basename(str(sources[0])) or str(sources[0])) + more


def _speed(facts: Facts) -> str | None:
    """Return the characters per second of a run's training, including evaluations and saves."""
    step, seconds = (number(facts["progress"].get(label)) for label in ("step", "seconds"))
    training = facts["training"]
    if step is None or not seconds or not training:
        return None
    return f"{step * training['batch'] * training['seq'] / seconds:,.0f}"


def _exact(facts: Facts, label: str) -> str | None:
    """Return a number of the final evaluation of a run, None if there is none."""
    evaluation = evaluation_of(facts["validation"], facts["unit"])
    value = math.nan if evaluation is None else getattr(evaluation, label)
    return None if math.isnan(value) else f"{value:.4f}"


def _in_bits(nats: float) -> str:
    return f"{nats / math.log(2):.4f}"


def _count(value: Any) -> str | None:
    return _of(value, lambda count: f"{count:,}")


def _of(value: Any, shown: Callable[[float], str]) -> str | None:
    """Return a number as it is shown, None if the value is not a number."""
    found = number(value)
    return None if found is None else shown(found)


def _widest(cells: list[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cells))


def _name(facts: Facts) -> str:
    """Return a short form of a run's name; of a path the end is kept, which says more than the beginning."""
    shown = name(facts)
    return _cut(shown) if facts["run"] else _cut(shown[::-1])[::-1]


def _cut(text: str) -> str:
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= _WIDEST else set_cell_size(text, _WIDEST - 1).rstrip() + "…"
