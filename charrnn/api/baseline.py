"""The baseline of a text: how well n-gram models predict the part on which a network would be validated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from charrnn.api.datasets import Sources, doubts, new_dataset
from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given, check_whole
from charrnn.api.held_out import compressors, held_out, parts_of
from charrnn.api.named import Corpus, names
from charrnn.api.ngrams import TRAINED, NGrams, best, is_quick, ngram_models
from charrnn.api.settings import check_names, settings
from charrnn.config import HIGHEST_ORDER, NGRAM_ORDER, TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.reader import Watch

# The settings of `train` that choose what is read, and which part of it is held out.
_OF_TEXT = tuple(field.name for field in fields(TextConfig) if field.name not in ("labels", "label_field"))
SETTINGS = (*_OF_TEXT, "split", "val", "test", "seed", "batch")


@dataclass(frozen=True)
class Baseline:
    """How well n-gram models of characters, interpolated Kneser-Ney with three discounts, predict a held-out text.

    orders: the model of each order from 1 on, over the validation part. test: the same over the test part, if there
    is one.
    compressors: the bits per character that compressors need for the validation part, which they alone see.
    trained: the models were trained on the last `trained` of all `training` characters of the training part.
    characters: how many characters of the validation part count; `read` of all `held_out` ones were read.
    unit: "character" or "byte".
    """

    orders: tuple[NGrams, ...]
    compressors: Mapping[str, float]
    trained: int
    training: int
    characters: int
    read: int
    held_out: int
    unit: str = "character"
    test: tuple[NGrams, ...] = field(default=())

    @property
    def best(self) -> NGrams:
        """Return the model that predicts the validation part best."""
        return best(self.orders)

    def to_json(self) -> dict[str, Any]:
        """Return all figures by name."""
        return {
            "orders": [model.to_json() for model in self.orders],
            "best": self.best.order,
            **({"test": [model.to_json() for model in self.test]} if self.test else {}),
            "compressors": dict(self.compressors),
            "trained": self.trained,
            "training_characters": self.training,
            "characters": self.characters,
            "characters_read": self.read,
            "held_out_characters": self.held_out,
            "unit": self.unit,
        }


def baseline(
    corpus: Corpus,
    order: int = NGRAM_ORDER,
    *,
    vocab: str | Path | None = None,
    min_count: int = 1,
    include: Sequence[str] = (),
    val_file: Corpus = (),
    notify: Notify = unheard,
    watch: Watch | None = None,
    **settings: Any,
) -> Baseline:
    """Return how well n-gram models of the orders from 1 to `order` predict the validation part of a text.

    It is the part on which `train` validates with the same arguments, and the models are trained on the same training
    part (of a long one, on the last 20,000,000 characters). So their bits per character can be compared with those of a
    network.

    Args:
        corpus, vocab, min_count, include, val_file, watch: As in `train_events`.
        order: The highest order; a model of order n predicts a character from the n - 1 before it.
        notify: A function; it is called with each message for the user.
        **settings: The fields of `TextConfig`, except those of labels; and `split`, `val`, `test`, `seed`, and `batch`,
            the number of streams of `split="char-rnn"`.

    Raises:
        CharRNNError: A setting or the text cannot be used, or nothing of it is held out for validation.
    """
    check_given(vocab=vocab, notify=notify, watch=watch)
    check_whole("order", order, least=1, most=HIGHEST_ORDER)
    check_whole("min_count", min_count, least=1)
    sources = Sources(
        names(corpus),
        names(val_file, "val_file"),
        names(include, "include"),
        None if vocab is None else Path(vocab),
        min_count,
    )
    chosen = _settings(settings)
    preparing = new_dataset(sources, chosen, None, watch)
    while True:
        try:
            notify(next(preparing).message)
        except StopIteration as end:
            _, data = end.value
            break
    for doubt in doubts(data):
        notify(doubt.message)
    held = {name: held_out(parts) for name, parts in parts_of(data).items()}
    if "validation" not in held:
        raise CharRNNError(
            "Nothing is held out for validation, so n-gram models have nothing to predict.",
            hint="Leave out `val`, or use a larger one.",
        )
    read = held["validation"]
    counted = sum(part.counted() for part in read)
    if not counted:
        raise CharRNNError(
            f"None of the first {sum(map(len, read)):,} characters of the validation part follows "
            f"{chosen.text.loss_after!r}.",
            hint="Use another `split`, or another `loss_after`.",
        )
    if not is_quick(data, read):
        notify(f"Counting the n-grams of {min(len(data.parts.train), TRAINED):,} characters …")
    models = ngram_models(data, held, order)
    return Baseline(
        models["validation"],
        compressors(data),
        min(len(data.parts.train), TRAINED),
        len(data.parts.train),
        counted,
        sum(map(len, read)),
        sum(map(len, data.parts.val)),
        chosen.text.unit,
        models.get("test", ()),
    )


def _settings(given: Mapping[str, Any]) -> Any:
    """Return the settings of a run on this text, from those that matter here."""
    check_names(given, SETTINGS)
    if given.get("batch") is not None and given.get("split") != "char-rnn":
        raise CharRNNError(
            "`batch` is here the number of streams into which `split='char-rnn'` cuts the text; it has no effect "
            "otherwise.",
            hint="Leave it out.",
        )
    return settings(given)
