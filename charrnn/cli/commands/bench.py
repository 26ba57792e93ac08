"""`charrnn bench`: how fast this machine trains and samples a given model."""

from typing import Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.console import say, write_data
from charrnn.config import ModelConfig, TrainConfig
from charrnn.json_text import json_text

_M, _T = ModelConfig(), TrainConfig()
VOCAB = 65
PEAK_SIZE = 2048
# One process a library, so that neither finds the other's threads; the program prints GFLOPS.
PEAKS = {
    "numpy": """
import time, numpy as np
a = np.random.default_rng(0).random(({n}, {n}), dtype=np.float32)
best = 1e9
for _ in range(5):
    t = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
""",
    "tensorflow": """
import time, tensorflow as tf
a = tf.random.uniform(({n}, {n}))
tf.matmul(a, a).numpy()
best = 1e9
for _ in range(5):
    t = time.perf_counter(); tf.matmul(a, a)[0, 0].numpy(); best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
""",
    "jax": """
import time, jax
a = jax.random.uniform(jax.random.key(0), ({n}, {n}))
product = jax.jit(lambda a: a @ a)
product(a).block_until_ready()
best = 1e9
for _ in range(5):
    t = time.perf_counter(); product(a).block_until_ready(); best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
""",
}
# That keeps a library to the processor.
ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def bench(
    corpus: Annotated[
        list[str] | None, typer.Argument(metavar="CORPUS", help="Estimate the time of an epoch of this text.")
    ] = None,
    cell: o.CellName = _M.cell,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    dropout: o.Dropout = _T.dropout,
    precision: o.Precision = _T.precision,
    device: o.Device = "auto",
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long to train, and to sample.")] = 10.0,
    as_json: o.AsJson = False,
) -> None:
    """Measure how fast this machine trains and samples a model, as a share of what it can do in float32."""
    from charrnn.cli.reading import read
    from charrnn.config import DEFAULT_TEXT
    from charrnn.network.parameters import useful_products
    from charrnn.training.backends.start import check_device, chosen

    check_device(device)

    model = ModelConfig(cell, layers, units, embedding, stack)
    config = TrainConfig(batch=batch, seq=seq, dropout=dropout, precision=precision)
    text = read(corpus, DEFAULT_TEXT) if corpus else None
    vocab_size = len(text.symbols) if text else VOCAB
    say("Measuring the peak of this machine's matrix products …")
    peak = peak_gflops(chosen(), device)
    say("Training …")
    trained = train_speed(model, config, vocab_size, seconds, device)
    say("Sampling …")
    sampled = sample_speed(model, vocab_size, seconds)
    # 6 = a multiply and an add, forwards, for the input's gradient and for the weights'.
    facts: dict[str, Any] = {
        "train_chars_per_second": trained,
        "sample_chars_per_second": sampled,
        "sgemm_gflops": peak,
        "peak_share": trained * 6 * useful_products(model, vocab_size) / (peak * 1e9),
    }
    if text:
        facts["epoch_seconds"] = len(text) / trained
    if as_json:
        write_data(json_text(facts))
        return
    lines = [
        ("training", f"{trained:,.0f} characters/s"),
        ("share of the peak", f"{facts['peak_share']:.0%} of {peak:,.0f} GFLOPS (float32 matrix products)"),
        ("sampling", f"{sampled:,.0f} characters/s, one stream"),
    ]
    if text:
        lines.append(("an epoch", f"{facts['epoch_seconds'] / 60:,.1f} minutes for {len(text):,} characters"))
    write_data("".join(f"{label:<20}{value}\n" for label, value in lines))


def peak_gflops(backend: str, device: str = "auto") -> float:
    """Return the speed of a large float32 product in GFLOPS: NumPy's, or that of a backend on its device, if higher."""
    return max(sgemm_gflops(library, device) for library in ("numpy", backend))


def sgemm_gflops(library: str, device: str) -> float:
    """Return the speed of a large float32 product in GFLOPS, all cores, in a process of its own, best of five."""
    import os
    import subprocess
    import sys

    result = subprocess.run(
        [sys.executable, "-c", PEAKS[library].format(n=PEAK_SIZE)],
        capture_output=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(ON_CPU if device == "cpu" else {})},
    )
    return float(result.stdout)


def train_speed(
    model: ModelConfig, config: TrainConfig, vocab_size: int, seconds: float, device: str = "auto"
) -> float:
    """Return characters trained a second, compilation not counted."""
    from charrnn.training.backends import start as backend

    shards = backend.start(backend.shard_count(config.batch), device=device)
    return config.batch * config.seq * steps_per_second(model, config, vocab_size, seconds, shards)


def steps_per_second(model: ModelConfig, config: TrainConfig, vocab_size: int, seconds: float, shards: int) -> float:
    """Return steps of training a second, compilation not counted, with a backend that has been started."""
    from time import perf_counter

    import numpy as np

    from charrnn.data.batches import Streams
    from charrnn.data.parts import Part
    from charrnn.network.parameters import initial_weights
    from charrnn.training.backends.current import Shards
    from charrnn.training.network import CharRNN
    from charrnn.training.optimizers import base_rate, make_optimizer
    from charrnn.training.step import TrainStep, fresh_states

    ids = np.random.default_rng(0).integers(0, vocab_size, 4 * config.batch * config.seq)
    streams = Streams(Part(ids), config.batch, config.seq, config.seed, vocab_size)
    net = CharRNN(model, vocab_size, initial_weights(model, vocab_size, config.seed), precision=config.precision)
    cut = Shards(config.batch, shards)
    step = TrainStep(net, make_optimizer(config), cut, config.dropout, config.seed)
    states = fresh_states(net, cut)
    done, began = 0, 0.0
    while done < 5 or perf_counter() - began < seconds:
        # The first step compiles and the second warms up.
        if done == 2:
            began = perf_counter()
        loss, states = step(streams.window(done), states, done, base_rate(config))
        float(loss)
        done += 1
    return (done - 2) / (perf_counter() - began)


def sample_speed(model: ModelConfig, vocab_size: int, seconds: float) -> float:
    """Return characters sampled a second in one stream, by the code of `charrnn sample`."""
    from time import perf_counter

    import numpy as np

    from charrnn.inference.generation import Ending, Generation, generate_one
    from charrnn.inference.model import Model
    from charrnn.network.parameters import initial_weights
    from charrnn.text.vocabulary import Vocabulary

    vocab = Vocabulary(tuple(chr(code) for code in range(33, 33 + vocab_size)))
    network = Model(model, vocab, initial_weights(model, vocab_size, 0))
    network.limit_threads()
    stream = generate_one(network, network.before(np.zeros(1, int)), Generation(Ending(10**12)))
    for _ in range(100):
        next(stream)
    done, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        for _ in range(100):
            next(stream)
        done += 100
    return done / (perf_counter() - began)
