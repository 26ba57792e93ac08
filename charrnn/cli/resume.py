"""`charrnn train --resume`: a run goes on from its newest checkpoint."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say
from charrnn.cli.session import session, train_run
from charrnn.cli.signals import Signals
from charrnn.config import BUDGET, FREE_ON_RESUME, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.checkpoint import Checkpoint
    from charrnn.corpus import Corpus, Split
    from charrnn.runs import Run


def resume_run(name: str, given: dict[str, Any], asked: Signals) -> None:
    """Continue a run from its newest checkpoint, with another budget if one is given."""
    from charrnn.runs import find_run

    with session(asked, lambda: find_run(name, given.get("out"))) as run:
        checkpoint, path, warnings = run.load_newest()
        for warning in warnings:
            say(printable(warning))
        if checkpoint.training is None:
            raise CharRNNError(f"{path} holds a model but no training to resume.")
        config = _resumed_config(checkpoint.training, given)
        corpus = _resumed_corpus(run, checkpoint, given)
        parts = _resumed_parts(run, checkpoint, config, corpus)
        say(f"Resuming {run.name} after step {checkpoint.progress['step']:,}.")
        shards = checkpoint.progress["shards"]
        train_run(run, checkpoint.model, config, corpus, parts, shards, checkpoint, bool(given.get("quiet")), asked)


def _resumed_config(trained: TrainConfig, given: dict[str, Any]) -> TrainConfig:
    """Return the settings of the run with the changes that are allowed."""
    fixed = set(given) - {*FREE_ON_RESUME, "resume", "quiet", "out", "corpus", "corpus_changed_ok"}
    if fixed:
        raise CharRNNError(
            f"A resumed run keeps its settings; {', '.join('--' + key.replace('_', '-') for key in sorted(fixed))} "
            "cannot be changed.",
            hint="A new budget can be given: --epochs, --steps, --minutes.",
        )
    changed = {key: given[key] for key in FREE_ON_RESUME if key in given}
    if set(changed) & set(BUDGET):
        changed = {**dict.fromkeys(BUDGET), **changed}
    return replace(trained, **changed)


def _resumed_corpus(run: "Run", checkpoint: "Checkpoint", given: dict[str, Any]) -> "Corpus":
    """Return the text that the run was trained on, checked by its content."""
    from charrnn.corpus import STDIN, load_corpus

    recorded = checkpoint.progress["corpus"]
    sources = [str(run.stdin) if source == STDIN else source for source in recorded["sources"]]
    corpus = load_corpus(
        given.get("corpus") or sources, checkpoint.vocab, checkpoint.text, recorded.get("include") or ()
    )
    if corpus.sha256 != recorded["sha256"]:
        digests = f"its SHA-256 is {corpus.sha256}, it was {recorded['sha256']}"
        if not given.get("corpus_changed_ok"):
            raise CharRNNError(
                f"The text has changed since this run began: {digests}.",
                hint="Put the old text back, train a new run, or go on with the new text: --corpus-changed-ok.",
            )
        say(f"The text has changed ({digests}): going on with the new one.")
        return corpus
    # Where the text lay when the run began stays on record, unless another place was named.
    return corpus if given.get("corpus") else replace(corpus, sources=tuple(recorded["sources"]))


def _resumed_parts(run: "Run", checkpoint: "Checkpoint", config: TrainConfig, corpus: "Corpus") -> "Split":
    """Return the training and validation parts; a run that has nothing left to do is an error."""
    from charrnn.corpus import split
    from charrnn.training.budget import counted_total

    parts = split(corpus.ids, config.split, config.val, config.batch)
    done = checkpoint.progress["step"]
    counted = counted_total(config, len(parts.train) // config.batch // config.seq)
    same_budget = all(getattr(config, name) == getattr(checkpoint.training, name) for name in BUDGET)
    if (done == checkpoint.progress["total"] and same_budget) or (counted is not None and done >= counted):
        raise CharRNNError(
            f"The run {run.name} has taken {done:,} steps and reached the end of its budget.",
            hint="Give it more: --epochs, --steps, --minutes.",
        )
    return parts
