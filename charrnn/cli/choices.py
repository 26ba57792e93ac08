"""The options whose value is one of a few names, or the name of a file."""

from charrnn.api.presets import PRESETS
from charrnn.config import (
    ACTIVATIONS,
    ERRORS,
    MAPS,
    NEWLINES,
    NORMAL_FORMS,
    OPTIMIZERS,
    POOLS,
    PRECISIONS,
    RANKS,
    SCHEDULES,
    SPLITS,
    STACKS,
    UNKNOWN,
)
from charrnn.engines import WEIGHTS

CHOICES = {
    "--activation": ACTIVATIONS,
    "--backend": ("tensorflow", "jax"),
    "--by": RANKS,
    "--device": ("auto", "cpu", "gpu"),
    # The most frequent ones; every encoding that Python knows is accepted.
    "--encoding": ("utf-8", "utf-16", "latin-1", "cp1252"),
    "--errors": ERRORS,
    "--newlines": NEWLINES,
    "--method": MAPS,
    "--normalize": NORMAL_FORMS,
    "--optimizer": OPTIMIZERS,
    "--part": ("validation", "test"),
    "--pool": POOLS,
    "--precision": PRECISIONS,
    "--preset": tuple(PRESETS),
    "--schedule": SCHEDULES,
    "--split": SPLITS,
    "--stack": STACKS,
    "--unknown": UNKNOWN,
    "--weights": WEIGHTS,
}

# The options whose value is the name of a file or folder, in addition to those that Typer reads as a path.
FILES = ("--calibrate", "--cells", "--check", "--in", "--novel-to", "--output", "--prime-file", "--val-file")
