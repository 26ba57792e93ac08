"""Guess ranks: whether a model can tell them, and the samples that they are estimated from."""

from charrnn.api.generation import Notify
from charrnn.api.given import check_whole
from charrnn.errors import CharRNNError
from charrnn.inference.guesses import LONGEST, Guesses, draw
from charrnn.inference.lines import Scorer
from charrnn.text.reader import Watch


def drawn(scorer: Scorer, samples: int, seed: int, run: str, watch: Watch | None, notify: Notify) -> Guesses:
    """Return guesses from so many samples; CharRNNError if the texts of the model `run` never end, or have no rank."""
    check_whole("samples", samples, least=1)
    check_whole("seed", seed, 0, 2**63 - 1)
    text, end = scorer.model.text, scorer.model.text.document_end
    if not (text.resets and end and set(end) <= set(scorer.model.vocab.symbols)):
        raise CharRNNError(
            f"Guesses are whole texts, and those of {run} have no end that it has learned.",
            hint="Train a model of lines (`lines=True`), or of documents with `separator` and `reset_at_documents`.",
        )
    if text.loss_after is not None and not scorer.separated:
        raise CharRNNError(
            f"{run} has learned only what follows {text.loss_after!r}, so it cannot guess what comes before that.",
            hint=f"Rank what follows a text: `after={'TEXT' + text.loss_after!r}`.",
        )
    guesses, unended = draw(scorer, samples, seed, watch or (lambda done, total: None))
    if unended:
        notify(
            f"{unended:,} of {samples:,} samples had not ended after {LONGEST:,} characters; the rank of a text that "
            "is less likely than one of them is a lower bound."
        )
    return guesses
