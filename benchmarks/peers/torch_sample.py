"""Sample from an untrained nn.LSTM, a character a step; print characters a second.

Run by benchmarks/sample.py under a Python that has torch, with one argument, the task as JSON: vocab, layers, units,
seconds, threads.
"""

import json
import sys
from time import perf_counter

import torch
from torch import nn

task = json.loads(sys.argv[1])
vocab, units = task["vocab"], task["units"]
torch.set_num_threads(task["threads"])
embedding, output = nn.Embedding(vocab, vocab), nn.Linear(units, vocab)
recurrent = nn.LSTM(vocab, units, task["layers"])


def sample(seconds: float) -> float:
    """Return characters a second."""
    state, chosen = None, torch.zeros(1, 1, dtype=torch.long)
    text, began = [], perf_counter()
    while perf_counter() - began < seconds:
        x, state = recurrent(embedding(chosen), state)
        chosen = torch.multinomial(torch.softmax(output(x)[0], -1), 1)
        text.append(chosen.item())
    return len(text) / (perf_counter() - began)


with torch.inference_mode():
    sample(0.2)
    print(sample(task["seconds"]))
