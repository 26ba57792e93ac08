"""The two kinds of models: those that predict characters, and those that predict labels of texts."""

from charrnn.errors import CharRNNError
from charrnn.inference.model import Model


def check_predicts_characters(model: Model) -> None:
    """Raise CharRNNError for a model of labels, which cannot write or score text."""
    if model.config.classes is not None:
        raise CharRNNError(
            f"This model predicts labels ({shown(model.config.classes)}), not characters: it cannot write or score "
            "text.",
            hint="It labels lines: charrnn label RUN LINES. To write text, use a model that predicts characters.",
        )


def check_predicts_labels(model: Model) -> tuple[str, ...]:
    """Return the labels that a model predicts; raise CharRNNError for a model of characters."""
    if model.config.classes is None:
        raise CharRNNError(
            "This model predicts characters, not labels.",
            hint="Train one with `labels`, or make a probe of this one: charrnn probe RUN --train TEXTS -o FILE",
        )
    return model.config.classes


def shown(labels: tuple[str, ...], most: int = 5) -> str:
    """Return the first few labels, as a message names them."""
    return ", ".join(labels[:most]) + (" …" if labels[most:] else "")
