"""Checkpoints of which no two are alike."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary

MODEL = ModelConfig(cell="rnn", layers=1, units=3)
VOCAB = Vocabulary.of("ab\n")
NO_TEXT = CorpusRecord((), "0" * 64, 0)


def checkpoint(run: Run, step: int, best_step: int | None) -> Checkpoint:
    """Return a checkpoint that differs from that of any other step."""
    progress = Progress(NO_TEXT, step=step, best_step=best_step, metrics=run.log.position())
    weights = initial_weights(MODEL, VOCAB.size, step)
    slots = {"000": np.full(3, step, np.float32)}
    return Checkpoint(MODEL, VOCAB, weights, None, progress, slots=slots)
