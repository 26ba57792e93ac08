"""The checkpoint: one file with a model and everything that its training needs to go on (docs/checkpoints.md)."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import __version__
from charrnn.atomic import write_durably
from charrnn.cells import CELLS
from charrnn.config import (
    CELLS_VARIABLE,
    DEFAULT_TEXT,
    STACKS,
    Config,
    ModelConfig,
    TextConfig,
    TrainConfig,
    from_json,
    mistyped,
    to_json,
    with_tuples,
)
from charrnn.errors import CharRNNError
from charrnn.runs.container import COPY_AGAIN, PARTS, damaged, opened, pack
from charrnn.runs.progress import Progress
from charrnn.text.vocabulary import Vocabulary

# Settings of the text whose keys in a file are their older names.
_KEYS = {"one_per_line": "lines"}
_NAMES = {key: name for name, key in _KEYS.items()}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and, if the file was read for training, the state of its training.

    `weights` are float32, named as in `network`; `slots` are the optimizer's, `state` is the hidden state (both of any
    real dtype). `progress` is None if nothing was trained; `history` is JSON: no NaN, no infinity. `version` is the
    version of charrnn that wrote the file. `digest` is the SHA-256 of the header and the weights of the file that was
    read, "" if none was.
    """

    model: ModelConfig
    vocab: Vocabulary
    weights: dict[str, np.ndarray]
    training: TrainConfig | None = None
    progress: Progress | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    state: dict[str, np.ndarray] = field(default_factory=dict)
    text: TextConfig = DEFAULT_TEXT
    version: str = __version__
    digest: str = ""

    @property
    def step(self) -> int | None:
        """Return the number of steps that were trained; None if nothing was trained."""
        return None if self.progress is None else self.progress.step


def serialise(checkpoint: Checkpoint) -> bytearray:
    """Return the bytes of the file; the same checkpoint gives the same bytes."""
    metadata = {
        "history": checkpoint.history,
        "model": to_json(checkpoint.model),
        "progress": checkpoint.progress.to_json() if checkpoint.progress else {},
        "text": {_KEYS.get(name, name): value for name, value in to_json(checkpoint.text).items()},
        "training": checkpoint.training and to_json(checkpoint.training),
        "version": checkpoint.version,
        "vocab": checkpoint.vocab.to_json(),
    }
    own = CELLS[checkpoint.model.cell].file
    if own is not None:
        metadata["model_file"] = own
    parts = zip(PARTS, (checkpoint.weights, checkpoint.slots, checkpoint.state), strict=True)
    return pack(metadata, {f"{part}/{name}": array for part, arrays in parts for name, array in arrays.items()})


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that at every moment either the whole old file or the whole new one is there."""
    write_durably(path, serialise(checkpoint))


def read_checkpoint(path: Path, *, training: bool = False) -> Checkpoint:
    """Read a checkpoint and verify its header and weights, or with `training` the whole file.

    Without `training` the optimizer's slots and the hidden state are not read, and are returned empty. The arrays are
    new and writeable. Raises a `CharRNNError` that names the file if anything is wrong with it.
    """
    with opened(path) as container:
        checkpoint = _parse(container.metadata)
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in PARTS}
        for name, array in container.arrays(whole=training).items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        digest = container.digest
    return replace(checkpoint, weights=parts["model"], slots=parts["optimizer"], state=parts["state"], digest=digest)


def read_header(path: Path) -> Checkpoint:
    """Read a checkpoint without its arrays: the file's length is checked, its digests are not."""
    with opened(path) as container:
        checkpoint = _parse(container.metadata)
        container.places()
    return checkpoint


def _parse(content: dict[str, Any]) -> Checkpoint:
    """Return the checkpoint that the metadata of a file describe, without its arrays."""
    try:
        history, progress, version = content["history"], content["progress"], content["version"]
        if not (isinstance(progress, dict) and isinstance(version, str) and all(type(e) is dict for e in history)):
            raise TypeError("progress, history or version has another form")
        training = content["training"]
        _check_cell(content["model"]["cell"], content.get("model_file"))
        _check_stack(content["model"].get("stack", STACKS[0]))
        return Checkpoint(
            model=_config(ModelConfig, content["model"]),
            vocab=Vocabulary.from_json(content["vocab"]),
            weights={},
            training=None if training is None else _config(TrainConfig, training),
            progress=Progress.from_json(progress) if progress else None,
            history=list(history),
            # The first files of this format lack it; their texts were read with the defaults.
            text=_config(TextConfig, {_NAMES.get(key, key): value for key, value in content.get("text", {}).items()}),
            version=version,
        )
    except KeyError as error:
        raise damaged(f"its metadata lack {error}.") from None
    except CharRNNError as error:
        raise CharRNNError(f"cannot be used: {error.message}", error.hint or COPY_AGAIN) from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise damaged(f"its metadata are not valid ({error}).") from None


def _check_cell(name: object, file: object) -> None:
    """Raise CharRNNError if a cell is not known; for a cell of the user's own, `file` is the file that defines it."""
    if isinstance(name, str) and name not in CELLS:
        known = isinstance(file, str)
        how = (
            f"`cells={file if known else 'FILE.py'}`, or {CELLS_VARIABLE} (in Python, import the file before you "
            "load the model)."
        )
        raise CharRNNError(
            f"its cell is {name!r}, which this charrnn does not know.",
            f"Name the file that defines it: {how}"
            if known
            else f"Upgrade charrnn or, if it is a cell of your own, name the file that defines it: {how}",
        )


def _check_stack(name: object) -> None:
    if isinstance(name, str) and name not in STACKS:
        raise CharRNNError(f"its stack is {name!r}, which this charrnn does not know.", "Upgrade charrnn.")


def _config(kind: type[Config], data: dict[str, Any]) -> Config:
    """Return the settings in `data`; TypeError if one does not have the type of its field."""
    name = mistyped(kind, with_tuples(data))
    if name is not None:
        raise TypeError(f"{name!r:.40} is {data[name]!r:.40}")
    return from_json(kind, data)
