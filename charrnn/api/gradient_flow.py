"""The vanishing gradient, measured: how much of a loss the states before it feel."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given, check_unknown, check_whole, one_or_several
from charrnn.api.gradient_reach import ALL, GradientFlow, figures
from charrnn.api.held_out import held_out
from charrnn.api.named import Corpus, names
from charrnn.api.recorded import recorded_data
from charrnn.api.settings import MODEL
from charrnn.config import LONGEST_REACH, MOST_POSITIONS, POSITIONS, REACH, ModelConfig, TextConfig
from charrnn.data.batches import Window
from charrnn.data.corpus import as_ids
from charrnn.data.parts import Part
from charrnn.data.positions import WARM, windows_before
from charrnn.data.splits import Split
from charrnn.engines import AUTO
from charrnn.errors import CharRNNError, did_you_mean, readable_by
from charrnn.inference.model import read_by
from charrnn.network.parameters import check_weights, initial_weights
from charrnn.network.stacks import layers_of
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.finding import find_checkpoint
from charrnn.runs.folder import run_of_file
from charrnn.text.reader import Watch, read_text
from charrnn.text.text import Text
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.choice import choose
from charrnn.training.backends.engines import check_engine, choose_engine
from charrnn.training.backends.start import start

# The size of the vocabulary of random characters, that of `charrnn bench`.
VOCAB = 65
# The settings of networks of no run.
SIZES = tuple(name for name in MODEL if name != "cell")

Tell = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Network:
    """A network, the windows that it reads, and its weights: at the start, and after training if it was trained."""

    model: ModelConfig
    vocab_size: int
    window: Window
    seed: int
    run: str | None = None
    step: int | None = None
    trained: Mapping[str, np.ndarray] | None = None


def gradient_flow(
    *runs: str | os.PathLike[str],
    cell: str | Sequence[str] | None = None,
    text: Corpus | None = None,
    reach: int = REACH,
    positions: int = POSITIONS,
    seed: int | None = None,
    field: str | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    unknown: str | None = None,
    backend: str | None = None,
    engine: str = AUTO,
    notify: Notify = unheard,
    watch: Watch | None = None,
    tell: Tell = lambda done, total: None,
    **sizes: Any,
) -> list[GradientFlow]:
    """Return how the gradient of a loss shrinks on its way back through time.

    For each run there are two results: of new weights, as at the start of training, and of its best checkpoint. For
    each cell there is one, of an untrained network.

    Args:
        runs: Names of runs, their folders, or checkpoint files; by default the newest run.
        cell: Instead of runs: the names of one or several cells. `sizes` are the settings of their networks (layers,
            units, embedding, stack, attention), as in `train`.
        text: Files, folders or patterns. By default a run reads its validation part, and other networks random
            characters.
        reach: How many steps back the gradient is followed.
        positions: From how many positions of the text, which are spread evenly over it.
        seed: Of the weights of cells, and of random characters; a run has its own seed.
        field, encoding, errors, unknown: How the text is read, as in `Model.evaluate`.
        backend, engine: What computes, as in `train`; always on the processor, and in float64.
        notify: Is called with each message for the user.
        watch: Is called with the number of bytes of a text that have been read, and of all.
        tell: Is called with the number of steps that have been computed, and of all.

    Raises:
        CharRNNError: There is no such run, its text has changed, or the text is too short; the model predicts labels.
    """
    check_given(seed=seed, field=field, encoding=encoding, errors=errors, backend=backend, engine=engine)
    check_unknown(unknown)
    check_whole("reach", reach, least=1, most=LONGEST_REACH)
    check_whole("positions", positions, least=1, most=MOST_POSITIONS)
    check_engine(engine)
    _check_sizes(cell is not None, runs, seed, sizes)
    choose(backend)
    read = _Reader(text, field, encoding, errors, unknown, notify, watch)
    if cell is None:
        networks = [_of_run(run, read, positions, reach) for run in runs or (None,)]
    else:
        named = one_or_several("cell", cell, str, "the name of a cell, or several in a list")
        networks = [_of_cell(ModelConfig(one, **sizes), seed or 0, read, positions, reach) for one in named]
    start(1, float64=True, device="cpu")
    chosen = [_engine(network.model, engine, notify) for network in networks]
    found: list[GradientFlow] = []
    total = len(networks)
    for number, (network, computing) in enumerate(zip(networks, chosen, strict=True)):

        def told(done: int, of: int, number: int = number) -> None:
            tell(number * of + done, total * of)

        found += _flows(network, computing, reach, told)
    return found


def _check_sizes(of_cells: bool, runs: Sequence[Any], seed: int | None, sizes: Mapping[str, Any]) -> None:
    """Raise CharRNNError for runs beside cells, for sizes or a seed beside runs, and for sizes that do not exist."""
    if odd := [name for name in sizes if name not in SIZES]:
        raise CharRNNError(f"There is no setting {odd[0]!r}.", did_you_mean(odd[0], SIZES))
    if of_cells and runs:
        raise CharRNNError(
            f"`cell` makes untrained networks, but the run {os.fspath(runs[0])} was named too.",
            hint="Leave out one of them; a run is shown with its weights at the start anyway.",
        )
    given = [*sizes, *([] if seed is None else ["seed"])]
    if given and not of_cells:
        raise CharRNNError(
            f"`{given[0]}` is for untrained networks; a run has its own.", hint="Name cells with `cell`."
        )


@dataclass(frozen=True, eq=False)
class _Reader:
    """Reads the text that was given; without one, runs read their own, and other networks random characters."""

    text: Corpus | None
    field: str | None
    encoding: str | None
    errors: str | None
    unknown: str | None
    notify: Notify
    watch: Watch | None

    def read(self, config: TextConfig) -> Text:
        """Return the given text, read as `config` says, with what was given."""
        assert self.text is not None
        if config.bytes and self.encoding:
            raise CharRNNError("A model of bytes was named; bytes have no encoding.", hint="Leave out `encoding`.")
        config = replace(config, field=self.field, encoding=self.encoding or config.encoding)
        with readable_by("encoding", "errors"):
            return read_text(
                names(self.text, "text"), replace(config, errors=self.errors or config.errors), (), self.watch
            )

    def parts(self, path: Path, checkpoint: Checkpoint) -> tuple[Part, ...]:
        """Return the parts of a text that a run reads: of the given one, or its validation part."""
        vocab, form = checkpoint.vocab, checkpoint.text
        if self.text is not None:
            corpus = as_ids(self.read(read_by(form, vocab)), vocab, self.unknown)
            for notice in corpus.text.notices:
                self.notify(notice)
            held: tuple[Part, ...] = (corpus.part,)
        else:
            if odd := [name for name in ("field", "encoding", "errors", "unknown") if getattr(self, name) is not None]:
                raise CharRNNError(f"`{odd[0]}` is for a text, but no text was named.", hint="Name a text.")
            held = recorded_data(path, self.watch, self.notify).parts.val
            if not held:
                raise CharRNNError(f"{path} has no validation part that could be read.", hint="Name a text.")
        # As much as is evaluated exactly is enough.
        held = tuple(held_out(held))
        if form.reverse:
            held = Split(held[0], held).turned(vocab.encode(form.document_end or "").tolist()).val
        return held


def _of_run(run: str | os.PathLike[str] | None, read: _Reader, positions: int, reach: int) -> _Network:
    """Return the network of a run, and what it reads."""
    check_given(run=run)
    path = find_checkpoint(None if run is None else os.fspath(run))
    checkpoint = read_checkpoint(path)
    name, vocab, weights = run_of_file(path) or str(path), checkpoint.vocab, checkpoint.weights
    if checkpoint.model.classes is not None:
        raise CharRNNError(
            f"{name} predicts labels; only the gradients of models that predict characters can be followed."
        )
    check_weights(weights, checkpoint.model, vocab.size, str(path))
    if not all(np.isfinite(weight).all() for weight in weights.values()):
        raise CharRNNError(f"{path} has weights that are not finite (NaN or infinity).", hint="Use another checkpoint.")
    if run is None:
        read.notify(f"The model is {name} ({path.name}).")
    window = windows_before(read.parts(path, checkpoint), positions, reach, vocab.start)
    seed = 0 if checkpoint.training is None else checkpoint.training.seed
    return _Network(checkpoint.model, vocab.size, window, seed, name, checkpoint.step, weights)


def _of_cell(model: ModelConfig, seed: int, read: _Reader, positions: int, reach: int) -> _Network:
    """Return an untrained network, and what it reads."""
    layers_of(model)
    if read.text is None:
        ids = np.random.default_rng(seed).integers(0, VOCAB, positions * (WARM + reach), dtype=np.int32)
        return _Network(model, VOCAB, windows_before([Part(ids)], positions, reach, VOCAB), seed)
    text = read.read(TextConfig())
    vocab = Vocabulary.of(text.symbols)
    part = as_ids(text, vocab).part
    return _Network(model, vocab.size, windows_before(held_out([part]), positions, reach, vocab.start), seed)


def _engine(model: ModelConfig, engine: str, notify: Notify) -> str:
    """Return what computes a network: compiled code or the framework."""
    chosen, notice = choose_engine(engine, None, model, "float32", choose().engine().on_gpu(), resets=True)
    if notice:
        notify(notice)
    return chosen


def _flows(network: _Network, engine: str, reach: int, tell: Tell) -> Iterator[GradientFlow]:
    """Yield the flow of the gradient at the start and, of a run, after training."""
    from charrnn.training.gradient_flow import DTYPE, BackThroughTime
    from charrnn.training.network import CharRNN

    facts = {"run": network.run, "model": network.model, "seed": network.seed}
    first = initial_weights(network.model, network.vocab_size, network.seed)
    net = CharRNN(network.model, network.vocab_size, first, dtype=DTYPE, engine=engine)
    back = BackThroughTime(net)
    kinds = [(True, first), *([] if network.trained is None else [(False, network.trained)])]
    for number, (is_start, weights) in enumerate(kinds):
        net.load(weights)
        logs = back.norms(
            network.window,
            reach,
            lambda done, of, number=number: tell(number * of + done, len(kinds) * of),  # type: ignore[misc]
        )
        flow_of = f"{network.run or network.model.title} {'at the start' if is_start else 'after training'}"
        if np.isnan(logs[ALL]).any() or np.isposinf(logs[ALL]).any():
            raise CharRNNError(
                f"The gradients of {flow_of} are not finite (NaN or infinity).", hint="Use another network."
            )
        step = None if is_start else network.step
        yield GradientFlow(**facts, start=is_start, step=step, **figures(logs))  # type: ignore[arg-type]
