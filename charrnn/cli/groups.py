"""Options that several commands have in common, by groups; each option is declared in `options` or `training`.

A group is written as the signature of a function that does nothing. `with_options` adds groups to a command.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from charrnn.cli import options as o
from charrnn.cli import training as t
from charrnn.config import DEFAULT_TEXT, TrainConfig

_T = TrainConfig()


def reading(
    include: o.Include = None,
    encoding: o.Encoding = DEFAULT_TEXT.encoding,
    errors: o.Errors = DEFAULT_TEXT.errors,
    newlines: o.Newlines = DEFAULT_TEXT.newlines,
    normalize: o.Normalize = DEFAULT_TEXT.normalize,
    lower: o.Lower = DEFAULT_TEXT.lower,
    bytes: o.Bytes = DEFAULT_TEXT.bytes,
    field: o.Field = DEFAULT_TEXT.field,
    documents_between: o.DocumentsBetween = DEFAULT_TEXT.documents_between,
) -> None:
    """How a text is read."""


def training_text(
    one_per_line: t.OnePerLine = DEFAULT_TEXT.one_per_line,
    separator: t.Separator = DEFAULT_TEXT.separator,
    reset_at_documents: t.ResetAtDocuments = DEFAULT_TEXT.reset_at_documents,
    loss_after: t.LossAfter = DEFAULT_TEXT.loss_after,
    reverse: t.Reverse = DEFAULT_TEXT.reverse,
    vocab: t.Vocab = None,
    min_count: t.MinCount = 1,
) -> None:
    """What of a text is learned, and in which characters."""


def held_out(
    split: t.Split = _T.split,
    val: t.Val = _T.val,
    val_file: t.ValFile = None,
    test: t.Test = _T.test,
) -> None:
    """Which part of a text is not trained on."""


def labelled(labels: t.Labels = DEFAULT_TEXT.labels, label_field: o.LabelField = DEFAULT_TEXT.label_field) -> None:
    """Which labels of a text are learned instead of its characters."""


def place(backend: o.Backend = None, device: o.Device = "auto", engine: o.Engine = "auto") -> None:
    """Where and by what a model is trained."""


def with_options(*groups: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of groups to a command, after its own.

    The command gets its own options as arguments, and finds those of the groups in `context.params`.
    """

    def added(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters
        others = [one for group in groups for one in inspect.signature(group).parameters.values()]

        @wraps(command)
        def with_others(**given: Any) -> None:
            command(**{name: value for name, value in given.items() if name in own})

        # What Typer reads.
        with_others.__signature__ = inspect.Signature([*own.values(), *others])  # type: ignore[attr-defined]
        return with_others

    return added
