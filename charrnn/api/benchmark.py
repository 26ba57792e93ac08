"""Measurements of how fast this machine trains and samples a model, and of the speed of its matrix products."""

import os
import subprocess
import sys
from time import perf_counter

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.batches import Streams
from charrnn.data.parts import Part
from charrnn.engines import AUTO, FRAMEWORK
from charrnn.inference.generation import Ending, Generation, generate_one
from charrnn.inference.model import Model
from charrnn.network.parameters import initial_weights, useful_products
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.choice import BACKENDS, choose
from charrnn.training.backends.engines import choose_engine
from charrnn.training.backends.start import shard_count, start

VOCAB = 65
PEAK_SIZE = 2048
# Run in a separate process, as the backends' programs are, so that no program finds the threads of another.
NUMPY_PEAK = """
import time, numpy as np
a = np.random.default_rng(0).random(({n}, {n}), dtype=np.float32)
best = 1e9
for _ in range(5):
    t = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - t)
print(2 * {n} ** 3 / best / 1e9)
"""
# These variables make a library use only the processor.
ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def peak_share(trained: float, model: ModelConfig, vocab_size: int, peak: float) -> float:
    """Return the share of `peak` (GFLOPS) that a model's products need to train `trained` characters per second."""
    # 6 = a multiply and an add for each of three products: forwards, gradient of the input, gradient of the weights.
    return trained * 6 * useful_products(model, vocab_size) / (peak * 1e9)


def peak_gflops(backend: str, device: str = "auto") -> float:
    """Return the GFLOPS of a large float32 product: by NumPy or, if that is faster, by a backend on its device."""
    return max(sgemm_gflops(program, device) for program in (NUMPY_PEAK, BACKENDS[backend].peak))


def sgemm_gflops(program: str, device: str) -> float:
    """Return the GFLOPS of a large float32 product on all cores: the best of five, in a separate process."""
    result = subprocess.run(
        [sys.executable, "-c", program.format(n=PEAK_SIZE)],
        capture_output=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(ON_CPU if device == "cpu" else {})},
    )
    return float(result.stdout)


def train_speed(
    model: ModelConfig, config: TrainConfig, vocab_size: int, seconds: float, device: str = "auto", engine: str = AUTO
) -> float:
    """Return how many characters are trained per second; compilation does not count."""
    shards = start(shard_count(config.batch), device=device)
    chosen, _ = choose_engine(engine, None, model, config.precision, choose().engine().on_gpu(), resets=False)
    return config.batch * config.seq * steps_per_second(model, config, vocab_size, seconds, shards, chosen)


def steps_per_second(
    model: ModelConfig, config: TrainConfig, vocab_size: int, seconds: float, shards: int, engine: str = FRAMEWORK
) -> float:
    """Return how many steps are trained per second with a backend that has been started; compilation does not count."""
    from charrnn.training.backends.engine import Shards, on_gpu
    from charrnn.training.network import CharRNN
    from charrnn.training.optimizers import make_optimizer
    from charrnn.training.step import TrainStep, fresh_states

    ids = np.random.default_rng(0).integers(0, vocab_size, 4 * config.batch * config.seq)
    streams = Streams(Part(ids), config.batch, config.seq, config.seed, vocab_size)
    weights = initial_weights(model, vocab_size, config.seed)
    net = CharRNN(model, vocab_size, weights, precision=config.precision, engine=engine)
    cut = Shards(config.batch, shards)
    step = TrainStep(net, make_optimizer(config), cut, config.dropout, config.seed)
    states = fresh_states(net, cut)
    done, began, loss = 0, 0.0, None
    while done < 5 or perf_counter() - began < seconds:
        # The first step compiles and the second warms up.
        if done == 2:
            began = perf_counter()
        before = loss
        loss, states = step(streams.window(done), states, done, config.rate)
        # As in training: a GPU computes while the next step is prepared.
        float(before if on_gpu() and before is not None else loss)
        done += 1
    return (done - 2) / (perf_counter() - began)


def sample_speed(model: ModelConfig, vocab_size: int, seconds: float) -> float:
    """Return how many characters are sampled per second in one stream, with the code of `charrnn sample`."""
    vocab = Vocabulary(tuple(chr(code) for code in range(33, 33 + vocab_size)))
    network = Model(model, vocab, initial_weights(model, vocab_size, 0))
    network.engine = AUTO
    network.limit_threads()
    stream = generate_one(network, network.before(np.zeros(1, int)), Generation(Ending(10**12)))
    # Compiled code takes over after some characters, and needs a moment to load.
    for _ in range(100 + (network.compiled.patience() or 0)):
        next(stream)
    done, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        for _ in range(100):
            next(stream)
        done += 100
    return done / (perf_counter() - began)
