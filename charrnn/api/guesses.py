"""Guess ranks: whether a model has them, and the samples from which they are estimated."""

from charrnn.api.generation import Notify
from charrnn.api.given import check_whole
from charrnn.errors import CharRNNError
from charrnn.inference.guesses import LONGEST, Guesses, draw
from charrnn.inference.lines import Scorer
from charrnn.text.reader import Watch


def drawn(scorer: Scorer, samples: int, seed: int, run: str, watch: Watch | None, notify: Notify) -> Guesses:
    """Return guesses from this many samples; raise CharRNNError if the texts of model `run` have no end or no rank."""
    check_whole("samples", samples, least=1)
    check_whole("seed", seed, 0, 2**63 - 1)
    text, end = scorer.model.text, scorer.model.text.document_end
    if not (text.resets and end and set(end) <= set(scorer.model.vocab.symbols)):
        raise CharRNNError(
            f"Guess ranks are for whole texts, but {run} has not learned where a text ends.",
            hint="Train a model of lines (`one_per_line=True`) or of documents (`documents_between='TEXT'`, `field`).",
        )
    if text.loss_after is not None and not scorer.separated:
        raise CharRNNError(
            f"{run} has learned only what follows {text.loss_after!r}, so it cannot guess what comes before that.",
            hint=f"Rank the texts that follow another one: `after={'TEXT' + text.loss_after!r}`.",
        )
    guesses, unended = draw(scorer, samples, seed, watch or (lambda done, total: None))
    if unended:
        notify(
            f"{unended:,} of {samples:,} samples had not ended after {LONGEST:,} characters; the rank of a text that "
            "is less likely than one of them is a lower bound."
        )
    return guesses
