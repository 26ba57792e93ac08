"""The data of a new run: its text, the vocabulary of the text, and its parts."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.api.events import Noticed
from charrnn.api.held_out import held_out
from charrnn.api.settings import Settings
from charrnn.config import CHAR_RNN_VAL, TrainConfig
from charrnn.data.batches import fit_batch
from charrnn.data.corpus import Dataset, classes_of, dataset
from charrnn.errors import CharRNNError
from charrnn.runs.progress import CorpusRecord
from charrnn.text.reader import Watch, read_text
from charrnn.text.sources import check_include, comes_once
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from charrnn.runs.checkpoint import Checkpoint
    from charrnn.text.text import Text

# Only a vocabulary from a file can lack characters of a new run's text.
_VOCAB_HINT = (
    "Remove them from the text, make a vocabulary that has them (charrnn vocab TEXT -o FILE), or leave out `vocab`."
)

# A validation loss over fewer characters is noise. With fewer documents the last of them are used for validation, not
# randomly chosen ones.
FEW_CHARACTERS, FEW_DOCUMENTS = 1_000, 20
# An accuracy of fewer labels is noise too.
FEW_LABELS = 100


@dataclass(frozen=True)
class Sources:
    """What a new run reads: its text, another text for validation if there is one, and the source of its vocabulary."""

    corpus: Sequence[str]
    val_file: Sequence[str] = ()
    include: Sequence[str] = ()
    vocab: Path | None = None
    min_count: int = 1
    drop_unused: bool = False


def new_dataset(
    sources: Sources,
    chosen: Settings,
    trained: "Checkpoint | None",
    watch: Watch | None,
) -> Generator[Noticed, None, tuple[TrainConfig, Dataset]]:
    """Return the settings of a new run, fitted to its text, and its data; yield notices about the text.

    `trained` is the model that the run starts from.
    """
    config, form = chosen.train, chosen.text
    if sources.val_file and (any(map(comes_once, sources.val_file)) or "val" in chosen.named):
        raise CharRNNError(
            "`val_file` needs a file: it cannot be stdin or a pipe. It cannot be combined with `val`.",
            hint="Write the validation text to a file, and leave out `val` (it takes a share of the training text).",
        )
    if trained and trained.text.bytes != form.bytes:
        raise CharRNNError(
            f"`init` names a model of {'bytes' if trained.text.bytes else 'characters'}; `bytes` cannot be changed.",
            hint="Leave out `bytes`, or start from another model.",
        )
    check_include(sources.include, [*sources.corpus, *sources.val_file])
    text = read_text(sources.corpus, form, sources.include, watch, keep=True)
    validation = read_text(sources.val_file, form, sources.include, watch) if sources.val_file else None
    fit = fitted(config, text, validation is not None, "split" in chosen.named)
    vocab, classes = vocabulary(sources, text, validation, trained), classes_of(text, validation)
    data = dataset(text, vocab, fit, validation, _VOCAB_HINT, classes)
    returns = [notice for read in (text, validation) if read is not None for notice in read.carriage_returns()]
    of_reading = {*text.notices, *(validation.notices if validation else ())}
    for notice in data.notices:
        # The notices after those of reading list the unknown characters. With `min_count` they are no surprise.
        yield Noticed(notice, is_advice=sources.min_count > 1 and notice not in of_reading)
    yield from map(Noticed, [*returns, *_empty_documents(text), *_no_marker(text), *_odd_labels(text, validation)])
    return fit, data


def doubts(data: Dataset) -> Iterator[Noticed]:
    """Yield the reasons why the losses on the held-out parts will mean less than they seem to."""
    few, unit = (FEW_LABELS, "label") if data.corpus.text.labels else (FEW_CHARACTERS, data.corpus.text.config.unit)
    characters = sum(part.counted() for part in held_out(data.parts.val)) if data.parts.val else few
    if characters < few:
        longer = "a longer `val_file`" if data.validation else "a larger `val`, or a longer text"
        validate = f"{unit} is" if characters == 1 else f"{unit}s are"
        yield Noticed(
            f"Only {characters:,} {validate} used for validation: the loss depends mostly on chance, and so does the "
            f"choice of the best checkpoint. Use {longer}."
        )
    for part, of in data.repeated.items():
        mend = "`sort -u` removes repetitions." if of.kind == "lines" else "Leave out text that occurs twice."
        form = data.corpus.text.config
        if of.kind == "lines" and (form.lower or form.normalize):
            mend = "Lines also count as repetitions if only `lower` and `normalize` make them equal."
        yield Noticed(
            f"{of} of the {part} part also occur in the training part: the {part} loss is lower than for new text. "
            f"{mend}"
        )


def _empty_documents(text: "Text") -> list[str]:
    """Return a notice about empty lines if lines are documents and more than a few of them are empty."""
    lines, empty = text.counted.get("\n", 0), text.empty_lines() if text.config.one_per_line else 0
    if empty < max(2, 0.01 * lines):
        return []
    pattern = "^[[:space:]]*$" if "\r" in text.symbols else "^$"
    return [
        f"{empty:,} of {lines:,} lines are empty, and each is a document: about {100 * empty / lines:.0f} % of the "
        f"samples will be empty. grep -v '{pattern}' removes them."
    ]


def _odd_labels(text: "Text", validation: "Text | None") -> list[str]:
    """Return notices about labels of single texts, and about labels that only the validation text has."""
    single = [label for label, count in text.labelled.items() if count == 1]
    unseen = [label for label in (validation.labelled if validation else {}) if label not in text.labelled]
    found = []
    if single:
        more = "" if len(single) == 1 else f", and so it is with {len(single) - 1:,} other labels"
        found.append(
            f"Only one text has the label {single[0]!r}{more}. If the first line of the file names columns, give these "
            "names: `label_field` and `field`."
        )
    if unseen:
        more = "" if len(unseen) == 1 else f" and {len(unseen) - 1:,} others"
        found.append(
            f"The validation text has the label {unseen[0]!r}{more}, which no training text has: the model cannot "
            "learn it."
        )
    return found


def _no_marker(text: "Text") -> list[str]:
    """Return a notice if the text that should end documents inside files does not occur in them."""
    form = text.config
    if text.begins is None or form.documents_between is None or form.field is not None:
        return []
    if len(text.begins) > len(text.starts):
        return []
    where = text.names[0] if len(text.names) == 1 else "the text"
    returns = "\r" in text.symbols and "\n" in form.documents_between
    return [
        f"{form.documents_between!r} does not occur in {where} as it is read, so each file is one document."
        + (" It has Windows line ends; `newlines='lf'` turns them into plain line ends." if returns else "")
    ]


def corpus_record(data: Dataset) -> CorpusRecord:
    """Return the record of a run's texts that a checkpoint keeps; `resume` uses it to read them again."""
    text, other = data.corpus.text, None if data.validation is None else data.validation.text
    return CorpusRecord(
        tuple(text.sources),
        text.sha256,
        len(text),
        tuple(text.include),
        None if other is None else tuple(other.sources),
        None if other is None else other.sha256,
    )


def vocabulary(sources: Sources, text: "Text", validation: "Text | None", trained: "Checkpoint | None") -> Vocabulary:
    """Return the vocabulary of a new run: that of a file, or of its texts and of the model that it starts from."""
    making = "min_count" if sources.min_count > 1 else "drop_unused" if sources.drop_unused else None
    if sources.vocab:
        if making:
            raise CharRNNError(
                f"`{making}` is for making a vocabulary, but `vocab` names a finished one.",
                hint="Leave out one of them.",
            )
        vocab = Vocabulary.load(sources.vocab)
        if text.config.bytes and vocab.symbols[-1] > "\xff":
            raise CharRNNError(f"{sources.vocab} has characters that are not bytes.", hint="Leave out `vocab`.")
        return vocab
    if text.config.bytes:
        if making:
            raise CharRNNError(f"With `bytes` the vocabulary has all bytes; `{making}` cannot be combined with it.")
        # All bytes, so that the model can read any file.
        return Vocabulary(tuple(map(chr, range(256))))
    counts = Counter(text.counted)
    if validation is not None:
        counts.update(validation.counted)
    # The characters that end documents, and that of `loss_after`, never become the unknown symbol, however rare.
    always = (*(text.config.document_end or ""), text.config.loss_after)
    kept = {symbol for symbol, count in counts.items() if count >= sources.min_count or symbol in always}
    if not kept:
        raise CharRNNError(
            f"No character occurs at least {sources.min_count:,} times.",
            hint="Use a smaller `min_count`, or a longer text.",
        )
    if trained is not None and not sources.drop_unused:
        kept.update(trained.vocab.symbols)
    inherited = trained is not None and trained.vocab.has_unknown and not sources.drop_unused
    return Vocabulary.of(kept, has_unknown=sources.min_count > 1 or inherited)


def fitted(config: TrainConfig, text: "Text", has_validation: bool, split_named: bool) -> TrainConfig:
    """Return the settings, changed where they do not fit this text."""
    if not split_named and (text.inner_documents or 0) >= FEW_DOCUMENTS:
        # Lists of lines or records are often sorted, or grow with time, so the last ones differ from the others.
        config = replace(config, split="documents")
    if has_validation:
        if config.split == "char-rnn":
            raise CharRNNError(
                "`split='char-rnn'` validates on a part of the training text, not on `val_file`.",
                hint="Leave out `val_file`, or `split`.",
            )
        if split_named and not config.test:
            raise CharRNNError(
                "`split` has no effect here: `val_file` is the validation text, and there is no test part.",
                hint="Leave it out.",
            )
        config = replace(config, val=0.0)
    share = CHAR_RNN_VAL if config.split == "char-rnn" else config.val + config.test
    batch, seq = fit_batch(len(text) - int(len(text) * share), config.batch, config.seq)
    return replace(config, batch=batch, seq=seq)
