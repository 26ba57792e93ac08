"""Probes made by hand, without scikit-learn."""

from pathlib import Path

import numpy as np

from charrnn.api.model import load
from charrnn.api.probing import source_of
from charrnn.runs.probe import ProbeRecord, write_probe


def write_mean_probe(path: Path, model: Path, labels: tuple[str, ...] = ("bad", "good"), unit: int = 0) -> None:
    """Write a probe of the mean of h: the labels are against and for one unit in turn, the first one against it."""
    loaded = load(model)
    embedder = loaded.embedder()
    weights = np.zeros((len(labels), embedder.width), np.float32)
    weights[:, unit] = [2.0 if place % 2 else -2.0 for place in range(len(labels))]
    mean, scale = np.zeros(embedder.width, np.float32), np.ones(embedder.width, np.float32)
    bias = np.zeros(len(labels), np.float32)
    sources = (source_of(loaded, embedder),)
    write_probe(path, ProbeRecord(labels, sources, "mean", None, "l2", 1.0, None, mean, scale, weights, bias))
