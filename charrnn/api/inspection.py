"""The facts about a checkpoint and its run, in a form that JSON can hold."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api import arrays
from charrnn.api.given import check_given
from charrnn.api.history import figures_of, history_of, losses
from charrnn.api.json_text import finite
from charrnn.config import to_json
from charrnn.errors import CharRNNError
from charrnn.network.parameters import check_weights, parameter_count
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, read_header
from charrnn.runs.container import FORMAT
from charrnn.runs.finding import find_checkpoint
from charrnn.runs.folder import Run

if TYPE_CHECKING:
    from charrnn.api.runs import Run as ListedRun


def inspect(*runs: "str | os.PathLike[str] | ListedRun") -> list[dict[str, Any]]:
    """Return the facts about runs or checkpoint files, one dict each, as `charrnn inspect --json` prints them.

    Args:
        runs: Names of runs, their folders, checkpoint files, or a `Run` of `list_runs`; by default the newest run.

    Raises:
        CharRNNError: There is no such run, or its checkpoint cannot be read.
    """
    named: list[Any] = [getattr(run, "path", run) for run in runs]
    for name in named:
        check_given(run=name)
    return [facts_of(None if name is None else os.fspath(name)) for name in named or [None]]


def facts_of(target: str | None) -> dict[str, Any]:
    """Return the facts about RUN|FILE: the model of a run's best checkpoint, the training of its newest one."""
    path, model = _read(target)
    check_weights(model.weights, model.model, model.vocab.size, str(path))
    # If a file was named, only this file is described, even if it is in the folder of a run.
    run = None if target is not None and path == Path(target) else Run(path.parent)
    files, newest = ([], model) if run is None else _checkpoints(run, path, model)
    figures = figures_of(run.log.path, model.step) if run else {}
    vocab, layers = model.vocab, arrays.layers(model)
    facts = {
        "file": str(path),
        "run": run.name if run else None,
        # So far this is the only format that can be read.
        "format": FORMAT,
        "version": model.version,
        "step": model.step,
        "unit": model.model.predicted(model.text.unit),
        "model": {**to_json(model.model), "title": model.model.title},
        "parameters": parameter_count(model.model, vocab.size),
        "layers": layers,
        "all": arrays.together(layers),
        "vocabulary": {"size": vocab.size, "unknown": vocab.has_unknown, "symbols": "".join(vocab.symbols)},
        "text": to_json(model.text),
        "training": newest.training and to_json(newest.training),
        "progress": newest.progress.to_json() if newest.progress else {},
        "history": history_of(newest.history, run.log.path if run else None),
        "validation": figures.get("validation"),
        "test": figures.get("test"),
        "checkpoints": files,
    }
    return finite(facts)


def _read(target: str | None) -> tuple[Path, Checkpoint]:
    """Return the checkpoint that RUN|FILE means; look again if a trainer removed it before it was read."""
    while True:
        path = find_checkpoint(target)
        try:
            return path, read_checkpoint(path)
        except CharRNNError:
            if path.exists():
                raise


def _checkpoints(run: Run, shown: Path, model: Checkpoint) -> tuple[list[dict[str, Any]], Checkpoint]:
    """Return the facts about each checkpoint of a run, and the newest checkpoint without its arrays."""
    newest, facts, listed = model, [], run.checkpoints()
    for path in [*listed, run.best]:
        try:
            about = path.stat()
        except FileNotFoundError:
            # There is no best checkpoint, or a trainer has removed this one.
            continue
        fact: dict[str, Any] = {"file": path.name, "step": None, "bits_per_char": None, "readable": False}
        with suppress(CharRNNError):
            header = model if path == shown else read_header(path)
            fact |= {"step": header.step, "bits_per_char": _bits(header), "readable": True}
            newest = max(newest, header, key=lambda one: one.step or 0)
        modified = datetime.fromtimestamp(about.st_mtime, UTC).isoformat(timespec="seconds")
        facts.append({**fact, "bytes": about.st_size, "modified": modified})
    if run.checkpoints() != listed:
        # A trainer is running, and may have written a newer checkpoint.
        return _checkpoints(run, shown, model)
    best = next((fact["step"] for fact in facts if fact["file"] == run.best.name), None)
    return [{**fact, "best": best is not None and fact["step"] == best} for fact in facts], newest


def _bits(header: Checkpoint) -> float | None:
    """Return the validation loss of a checkpoint's own step, in bits per character, if it was evaluated there."""
    validation = losses(history_of(header.history, None)).validation
    return next((bits for step, bits in validation[::-1] if step == header.step), None)
