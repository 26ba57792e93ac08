"""Which cells remember a symbol across 100 steps of noise: prints a Markdown table.

    python benchmarks/recall.py

A sequence is one of 8 symbols, 100 characters of noise drawn from 4 others, and a query, after which the first symbol
is to be named: by chance one in 8. One layer, Adam, one recipe for all cells. The noise grows in stages, to the next
when nearly all of fresh sequences are answered, as an LSTM does not learn it over 100 steps at once (`--stages 100`).
Training ends when the last stage is passed, or with the steps; then fresh sequences of the last stage are answered.
`--gradients` prints instead how much of the loss at the query is felt by the states before it.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import machine
import numpy as np

from charrnn.cells import CELLS
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.parameters import initial_weights

SYMBOLS, NOISE = 8, 4
QUERY = SYMBOLS + NOISE
VOCAB = QUERY + 1
STAGES = (20, 50, 100)
UNITS = 64
CONFIG = TrainConfig(batch=64, optimizer="adam", lr=2e-3, schedule="constant", clip_norm=1.0, steps=3000)
# A stage is passed, and a training done, when so much of so many sequences is right, the last so many times in a row.
EVERY, FRESH, RIGHT, TIMES = 50, 1000, 0.995, 3
BACK = (1, 10, 50, 100)
REMEMBER = ["lstm", "lstm-peephole", "lstm-coupled", "gru", "gru-reset-after"]


class Result(NamedTuple):
    """The share of fresh sequences answered right, the steps it took, the noise of its last stage, the network."""

    accuracy: float
    steps: int
    noise: int
    net: Any


class Compiled(NamedTuple):
    """What is done with sequences of ids (time, batch), compiled.

    `train(ids)` updates the network; `name(ids)` returns the ids answered, (batch,); `felt(ids, back)` returns the
    gradient of each sequence's loss with respect to all of the state before the last `back` characters, (batch, n).
    """

    train: Callable[[np.ndarray], None]
    name: Callable[[np.ndarray], np.ndarray]
    felt: Callable[[np.ndarray, int], np.ndarray]


def compiled(net: Any, config: TrainConfig) -> Compiled:
    """Return the work on a network, `charrnn.training.network.CharRNN`."""
    from charrnn.network.states import initial_states
    from charrnn.training.backends.engine import Shards, Update, compiled, loss_and_gradients, xp
    from charrnn.training.optimizers import make_optimizer
    from charrnn.training.step import cross_entropy

    optimizer = make_optimizer(config)
    optimizer.build(list(net.parameters.values()))

    def states_of(ids: Any) -> Any:
        return initial_states(xp, net.model, ids.shape[1], "float32")

    def loss(values: Any, ids: Any, states: Any, symbols: Any) -> Any:
        """Return the summed loss after the last of ids, in nats."""
        logits, _ = net.call(ids, states, values=values)
        return cross_entropy(logits[-1:], symbols[None])

    def train(values: Any, step: Any, ids: Any) -> Any:
        mean, _, gradients = loss_and_gradients(
            lambda values: (loss(values, ids, states_of(ids), ids[0]) / ids.shape[1], None), values
        )
        return mean, gradients

    def name(values: Any, ids: Any) -> Any:
        logits, _ = net.call(ids, states_of(ids), gradient_wanted=False, values=values)
        return xp.argmax(logits[-1], axis=-1)

    def felt(values: Any, before: Any, after: Any) -> Any:
        _, states = net.call(before, states_of(before), values=values)
        fields = {str(n): field for n, field in enumerate(states[0])}

        def nats(fields: Any) -> Any:
            return loss(values, after, [type(states[0])(*fields.values())], before[0]), None

        return xp.concatenate(list(loss_and_gradients(nats, fields)[2].values()), axis=-1)

    update, name, felt = Update(train, net.parameters, optimizer, Shards(1, 1)), compiled(name), compiled(felt)
    return Compiled(
        lambda ids: update(config.rate, 0, ids),
        lambda ids: np.array(name(net.values(), ids)),
        lambda ids, back: np.array(felt(net.values(), ids[:-back], ids[-back:])),
    )


def sequences(rng: np.random.Generator, batch: int, noise: int) -> np.ndarray:
    """Return `batch` sequences with so many characters of noise, ids (noise + 2, batch); row 0 is what to remember."""
    symbol = rng.integers(0, SYMBOLS, (1, batch))
    between = rng.integers(SYMBOLS, QUERY, (noise, batch))
    return np.concatenate([symbol, between, np.full((1, batch), QUERY)]).astype(np.int32)


def fresh_network(cell: str, seed: int, units: int = UNITS) -> Any:
    from charrnn.training.network import CharRNN

    model = ModelConfig(cell, 1, units)
    return CharRNN(model, VOCAB, initial_weights(model, VOCAB, seed))


def accuracy(
    cell: str, seed: int, config: TrainConfig = CONFIG, stages: tuple[int, ...] = STAGES, units: int = UNITS
) -> Result:
    """Train a fresh network and return how it fares on fresh sequences with the noise of the last stage.

    The backend must have been started.
    """
    net = fresh_network(cell, seed, units)
    do = compiled(net, config)
    training, trials, final = (np.random.default_rng([seed, purpose]) for purpose in range(3))

    def share(rng: np.random.Generator, noise: int) -> float:
        ids = sequences(rng, FRESH, noise)
        return float(np.mean(do.name(ids) == ids[0]))

    stage = passed = step = 0
    while step < config.steps and passed < TIMES:
        do.train(sequences(training, config.batch, stages[stage]))
        step += 1
        if step % EVERY == 0:
            right = share(trials, stages[stage]) >= RIGHT
            if stage < len(stages) - 1:
                stage += right
            else:
                passed = passed + 1 if right else 0
    return Result(share(final, stages[-1]), step, stages[stage], net)


def gradient_norms(net: Any) -> list[float]:
    """Return the norms of the gradient of a sequence's loss with respect to the states BACK steps before, medians."""
    ids = sequences(np.random.default_rng(0), CONFIG.batch, STAGES[-1])
    do = compiled(net, CONFIG)
    return [float(np.median(np.linalg.norm(do.felt(ids, back), axis=1))) for back in BACK]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=[*REMEMBER, "rnn", "irnn", "clockwork"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=CONFIG.steps, help="at most, all stages together")
    parser.add_argument("--lr", type=float, default=CONFIG.lr)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--stages", nargs="+", type=int, default=STAGES, help="characters of noise, the last counts")
    parser.add_argument("--gradients", action="store_true", help="of fresh networks and trained ones, the first seed")
    args = parser.parse_args()
    config = replace(CONFIG, lr=args.lr, steps=args.steps)
    from charrnn.training.backends import start as backend
    from charrnn.training.backends.choice import choose

    print(machine.describe("charrnn", "numpy", choose().name, "keras"))
    backend.start(1)

    def trained(cell: str, seed: int) -> Result:
        began = perf_counter()
        result = accuracy(cell, seed, config, tuple(args.stages), args.units)
        seconds = perf_counter() - began
        print(f"{cell}, seed {seed}: {result.accuracy:.1%}, {result.steps} steps, {seconds:.0f} s", file=sys.stderr)
        return result

    if args.gradients:
        print("Norm of the gradient of the loss at the query with respect to the state so many steps before, median:\n")
        print(f"| cell | network | {' | '.join(map(str, BACK))} |\n|---|---|{'---|' * len(BACK)}")
        for cell in args.cells:
            after = trained(cell, args.seeds[0]).net
            nets = {"fresh": fresh_network(cell, args.seeds[0], args.units), "trained": after}
            for network, net in nets.items():
                norms = " | ".join(f"{norm:.1e}" for norm in gradient_norms(net))
                print(f"| {cell} | {network} | {norms} |", flush=True)
        return
    stages, network = ", ".join(map(str, args.stages)), f"1x{args.units}, batch {config.batch}"
    print(f"{network}, learning rate {args.lr:g}, at most {args.steps} steps, noise {stages}:\n")
    names = " | ".join(f"seed {seed}" for seed in args.seeds)
    print(f"| cell | {names} | steps | noise reached |\n|---|{'---|' * len(args.seeds)}---|---|")
    for cell in args.cells:
        results = [trained(cell, seed) for seed in args.seeds]
        shares = " | ".join(f"{result.accuracy:.1%}" for result in results)
        steps = ", ".join(str(result.steps) for result in results)
        print(f"| {cell} | {shares} | {steps} | {', '.join(str(result.noise) for result in results)} |", flush=True)


if __name__ == "__main__":
    main()
