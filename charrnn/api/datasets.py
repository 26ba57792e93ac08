"""`charrnn train`: from the options to a text, its vocabulary, and its parts."""

from collections import Counter
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import say
from charrnn.cli.reading import read, tell
from charrnn.config import CHAR_RNN_VAL, DEFAULT_TEXT, TextConfig, TrainConfig
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.data.corpus import Dataset
    from charrnn.runs.checkpoint import Checkpoint
    from charrnn.runs.progress import CorpusRecord
    from charrnn.text.text import Text
    from charrnn.text.vocabulary import Vocabulary


def new_dataset(
    values: dict[str, Any], given: dict[str, Any], config: TrainConfig, trained: "Checkpoint | None"
) -> tuple[TrainConfig, "Dataset"]:
    """Return what a new run is trained on, and its settings as they can be for that; say what is odd about it.

    With `trained`, the model that it begins with, its text is read as that model's was, but for the options given.
    """
    from charrnn.data.corpus import dataset
    from charrnn.text.sources import STDIN

    if values["val_file"] and (STDIN in values["val_file"] or "val" in given):
        raise CharRNNError(
            "--val-file names files; neither stdin nor --val can be had with it.",
            hint="Write what validates to a file; --val is a share of the text that trains.",
        )
    before = trained.text if trained else DEFAULT_TEXT
    form = replace(before, **{field.name: given[field.name] for field in fields(TextConfig) if field.name in given})
    if trained and trained.text.bytes != form.bytes:
        raise CharRNNError(
            f"--init has a model of {'bytes' if trained.text.bytes else 'characters'}; --bytes cannot be changed.",
            hint="Train a model of bytes from one of bytes.",
        )
    text = read(values["corpus"], form, values["include"], keep_stdin=True)
    validation = read(values["val_file"], form, values["include"]) if values["val_file"] else None
    fitted = _fitted(config, text, validation is not None)
    data = dataset(text, vocabulary(values, text, validation, trained), fitted, validation)
    tell(data.notices)
    if (fitted.batch, fitted.seq) != (config.batch, config.seq):
        say(
            f"The text is short ({len(text):,} characters): training with --batch {fitted.batch} --seq {fitted.seq} "
            f"instead of {config.batch} and {config.seq}."
        )
    return fitted, data


def corpus_record(data: "Dataset") -> "CorpusRecord":
    """Return what a checkpoint records of the texts of a run, which `--resume` reads again."""
    from charrnn.runs.progress import CorpusRecord

    text, other = data.corpus.text, None if data.validation is None else data.validation.text
    return CorpusRecord(
        tuple(text.sources),
        text.sha256,
        len(text),
        tuple(text.include),
        None if other is None else tuple(other.sources),
        None if other is None else other.sha256,
    )


def vocabulary(
    values: dict[str, Any], text: "Text", validation: "Text | None", trained: "Checkpoint | None"
) -> "Vocabulary":
    """Return the vocabulary of a new run: a file's, or that of its texts and of the model that it begins with."""
    from charrnn.text.vocabulary import Vocabulary

    if values["vocab"]:
        if values["min_count"] > 1:
            raise CharRNNError("--min-count makes a vocabulary; --vocab names one.", hint="Give one of them.")
        vocab = Vocabulary.load(values["vocab"])
        if text.config.bytes and vocab.symbols[-1] > "\xff":
            raise CharRNNError(f"{values['vocab']} has characters that are no bytes.", hint="Leave out --vocab.")
        return vocab
    if text.config.bytes:
        if values["min_count"] > 1:
            raise CharRNNError("--bytes has all bytes in its vocabulary; --min-count cannot be had with it.")
        # All of them, so that the model can read any file.
        return Vocabulary(tuple(map(chr, range(256))))
    counts = Counter(text.counted)
    if validation is not None:
        counts.update(validation.counted)
    # However rare, the end of a document is no unknown symbol, nor is what the loss counts behind.
    always = (text.config.document_end, text.config.loss_after)
    kept = {symbol for symbol, count in counts.items() if count >= values["min_count"] or symbol in always}
    if not kept:
        raise CharRNNError(
            f"No character occurs {values['min_count']:,} times.", hint="Use a smaller --min-count, or a longer text."
        )
    if trained is not None and not values["drop_unused"]:
        kept.update(trained.vocab.symbols)
    inherited = trained is not None and trained.vocab.has_unknown and not values["drop_unused"]
    return Vocabulary.of(kept, has_unknown=values["min_count"] > 1 or inherited)


def _fitted(config: TrainConfig, text: "Text", has_validation: bool) -> TrainConfig:
    """Return the settings as they can be for a text of this length."""
    from charrnn.data.batches import fit_batch

    if has_validation:
        if config.split == "char-rnn":
            raise CharRNNError("--split char-rnn validates on its own text.", hint="Leave out --val-file, or --split.")
        config = replace(config, val=0.0)
    share = CHAR_RNN_VAL if config.split == "char-rnn" else config.val + config.test
    batch, seq = fit_batch(len(text) - int(len(text) * share), config.batch, config.seq)
    return replace(config, batch=batch, seq=seq)
