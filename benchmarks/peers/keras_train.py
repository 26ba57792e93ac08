"""Train Keras's own recurrent layers for a while; print characters a second, by way of feeding them, as JSON.

Run by benchmarks/train.py with one argument, the task as JSON: ids (a .npy file), vocab, cell, layers, units, batch,
seq, seconds, and perhaps precision. The model is compiled as Keras does by default and uses its default threads.
"""

import json
import sys

import keras
import numpy as np
from two_lengths import rate, windows

task = json.loads(sys.argv[1])
batch, seq, vocab = task["batch"], task["seq"], task["vocab"]
ids = np.load(task["ids"])
if task.get("precision") == "bf16":
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
# With JAX, cuDNN's LSTM knows no bfloat16.
cudnn = {"use_cudnn": False} if task.get("precision") == "bf16" and keras.backend.backend() == "jax" else {}
layer = {
    "lstm": lambda *a, **k: keras.layers.LSTM(*a, **cudnn, **k),
    "gru": lambda *a, **k: keras.layers.GRU(*a, reset_after=False, **k),
    "rnn": keras.layers.SimpleRNN,
}[task["cell"]]

inputs = keras.Input(batch_shape=(batch, seq), dtype="int32")
# A product with one-hot rows of thousands would be unfair.
x = keras.ops.one_hot(inputs, vocab) if vocab <= 256 else keras.layers.Embedding(vocab, task["units"])(inputs)
for _ in range(task["layers"]):
    x = layer(task["units"], return_sequences=True, stateful=True)(x)
model = keras.Model(inputs, keras.layers.Dense(vocab, dtype="float32")(x))
model.compile(
    optimizer=keras.optimizers.Adam(2e-3, global_clipnorm=1.0),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)


def fit(steps: int) -> None:
    # Row r of batch n continues row r of batch n - 1: stateful layers need that order.
    x, y = (np.concatenate(part) for part in zip(*windows(ids, batch, seq, steps), strict=True))
    model.fit(x, y, batch_size=batch, shuffle=False, verbose=0)


def train_on_batch(steps: int) -> None:
    for x, y in windows(ids, batch, seq, steps):
        model.train_on_batch(x, y)


print(json.dumps({ways.__name__: rate(ways, batch * seq, task["seconds"]) for ways in (fit, train_on_batch)}))
