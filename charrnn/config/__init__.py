"""The settings of a model, of its training and of its text: the only place of defaults and of their checks."""

from charrnn.config.as_json import Config, from_json, mistyped, to_json
from charrnn.config.model import ACTIVATIONS, CELLS_VARIABLE, STACKS, ModelConfig
from charrnn.config.text import (
    DEFAULT_TEXT,
    ERRORS,
    NEWLINES,
    NORMAL_FORMS,
    RECORD_END,
    UNKNOWN,
    TextConfig,
    with_records,
)
from charrnn.config.train import (
    BUDGET,
    CHAR_RNN_VAL,
    DEFAULT_MINUTES,
    DEFAULT_RATES,
    FREE_ON_RESUME,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULE,
    SCHEDULES,
    SPLITS,
    TrainConfig,
)
from charrnn.config.use import CANDIDATES, GAP, LONGEST_FILLING, QUANTILES, RANK_SAMPLES, RANKS

__all__ = [
    "ACTIVATIONS",
    "BUDGET",
    "CANDIDATES",
    "CELLS_VARIABLE",
    "CHAR_RNN_VAL",
    "DEFAULT_MINUTES",
    "DEFAULT_RATES",
    "DEFAULT_TEXT",
    "ERRORS",
    "FREE_ON_RESUME",
    "GAP",
    "LONGEST_FILLING",
    "NEWLINES",
    "NORMAL_FORMS",
    "OPTIMIZERS",
    "PRECISIONS",
    "QUANTILES",
    "RANKS",
    "RANK_SAMPLES",
    "RECORD_END",
    "SCHEDULE",
    "SCHEDULES",
    "SPLITS",
    "STACKS",
    "UNKNOWN",
    "Config",
    "ModelConfig",
    "TextConfig",
    "TrainConfig",
    "from_json",
    "mistyped",
    "to_json",
    "with_records",
]
