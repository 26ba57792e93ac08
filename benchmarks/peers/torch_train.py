"""Train PyTorch's own recurrent layers for a while; print characters a second, by kind of input, as JSON.

Run by benchmarks/train.py and gpu.py under a Python that has torch, with one argument, the task as JSON: ids (a .npy
file), vocab, cell, layers, units, batch, seq, seconds, threads and, if not the CPU in float32, device and precision.
nn.GRU resets after the product, unlike charrnn's GRU (Cho 2014).
"""

import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from two_lengths import rate, windows

task = json.loads(sys.argv[1])
batch, seq, vocab = task["batch"], task["seq"], task["vocab"]
ids = np.load(task["ids"])
torch.set_num_threads(task["threads"])
device, bf16 = task.get("device", "cpu"), task.get("precision") == "bf16"
# As JAX and TensorFlow do unasked.
torch.backends.cuda.matmul.allow_tf32 = True
kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[task["cell"]]


class Network(nn.Module):
    """The input (one-hot, or an embedding as wide), stacked layers, logits."""

    def __init__(self, embedded: bool):
        super().__init__()
        self.embedding = nn.Embedding(vocab, vocab) if embedded else None
        self.recurrent = kind(vocab, task["units"], task["layers"])
        self.output = nn.Linear(task["units"], vocab)

    def forward(self, ids, state):  # type: ignore[no-untyped-def]
        x = one_hot(ids, vocab).float() if self.embedding is None else self.embedding(ids)
        x, state = self.recurrent(x, state)
        return self.output(x), state


def trainer(embedded: bool):  # type: ignore[no-untyped-def]
    """Return a function that trains a network for so many steps."""
    network = Network(embedded).to(device)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)

    def train(steps: int) -> None:
        state, before = None, None
        for x, y in windows(ids, batch, seq, steps):
            # torch is fastest with time first.
            inputs, targets = (torch.from_numpy(np.ascontiguousarray(part.T)).to(device).long() for part in (x, y))
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                logits, state = network(inputs, state)
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            loss = cross_entropy(logits.float().reshape(-1, vocab), targets.reshape(-1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            # The loss of the step before: a GPU computes while the next step is prepared.
            (loss if device == "cpu" or before is None else before).item()
            before = loss

    return train


ways = {"one-hot": trainer(False), "embedding": trainer(True)}
print(json.dumps({name: rate(train, batch * seq, task["seconds"]) for name, train in ways.items()}))
