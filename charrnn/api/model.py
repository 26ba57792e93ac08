"""A trained model in use: it samples, scores, completes and evaluates text, with NumPy alone."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from charrnn.api.clamping import clamped
from charrnn.api.cuts import Cuts
from charrnn.api.encoding import Prime
from charrnn.api.generation import How, Notify, Sample, generation, unheard
from charrnn.api.given import check_given, check_one_of, check_unknown, check_whole
from charrnn.api.labels import Labels
from charrnn.api.named import Corpus, lines_of, names_and_patterns
from charrnn.api.scores import Scores
from charrnn.api.units import Units
from charrnn.api.vectors import Vectors
from charrnn.config import CANDIDATES, GAP, LONGEST_FILLING
from charrnn.engines import AUTO, OF_USE, WEIGHTS
from charrnn.errors import CharRNNError, readable_by
from charrnn.inference import model as inference
from charrnn.inference.generation import Character, Characters, generate_one, whole
from charrnn.runs.finding import find_checkpoint

# Modules that only some functions need are imported in them, so that the first sampled character comes sooner.
if TYPE_CHECKING:
    from charrnn.api.alignment import Alignment
    from charrnn.api.completion import Answers
    from charrnn.api.evaluation import Evaluation
    from charrnn.api.filling import Filling
    from charrnn.api.following import Next
    from charrnn.api.sampling import Which
    from charrnn.text.reader import Watch


def load(
    run: str | os.PathLike[str] | None = None,
    notify: Notify = unheard,
    *,
    engine: str = AUTO,
    weights: str = WEIGHTS[0],
) -> "Model":
    """Return a trained model.

    run: a run's name, its folder, or a checkpoint file; for a run, its best checkpoint is loaded. None means the newest
    run. notify: is called with each message for the user about a text that the model is given. engine: "numpy";
    "compiled", which is faster, but takes a moment to start; or "auto", which begins each text with NumPy and goes on
    with compiled code if the text is long. weights: how the matrices are stored: "float32", or "bf16" or "int8", with
    which a large model makes a single text several times as fast, and predicts slightly less well.
    Raise CharRNNError if there is no such run, or its checkpoint is damaged.
    """
    check_given(run=run, notify=notify)
    check_one_of("engine", engine, OF_USE)
    check_one_of("weights", weights, WEIGHTS)
    path = find_checkpoint(None if run is None else os.fspath(run))
    network = inference.Model.load(path)
    network.engine, network.notify = engine, notify
    if weights != WEIGHTS[0]:
        network.store_as(weights)
    network.limit_threads()
    return Model(network, path, notify)


class Model(Scores, Vectors, Labels, Units):
    """A trained model; `load` returns one. `path` is its checkpoint."""

    def __repr__(self) -> str:
        return f"<charrnn.Model {self.config.title}, {self.vocab.size} characters, {self.path}>"

    def sample(self, length: int = 2000, *, prime: Prime = "", **how: Unpack[How]) -> str:
        """Return a new text of at most `length` characters, which continues `prime` (and does not repeat it).

        A model of lines writes whole lines, unless `lines` or `until` is given: the last line comes to its end.
        Raise CharRNNError if `prime` has characters that the model does not know; `encode` can leave them out.
        """
        return "".join(self.stream(length, prime=prime, **how))

    def stream(self, length: int = 2000, *, prime: Prime = "", **how: Unpack[How]) -> Iterator[str]:
        """Yield the characters of a new text, each as soon as it is final; the arguments are those of `sample`."""
        for character in self.characters(length, prime=prime, **how):
            yield self.vocab.decode([character.id])

    def characters(
        self, length: int = 2000, *, prime: Prime = "", with_nats: bool = False, **how: Unpack[How]
    ) -> Iterator[Character]:
        """Yield the characters of a new text as ids; with `with_nats` also how many nats each costs the model."""
        wanted = generation(self.network, length, how, self._notify, flowing=True)
        ids = self.encode(prime, how.get("unknown"), "`prime`")
        made = generate_one(clamped(self, how).network, self.network.before(ids), wanted, with_nats)
        return Cuts(wanted.ending, self._notify).watched_one(self._in_order(made, len(ids) > 0))

    def sample_many(self, count: int, length: int = 2000, *, prime: Prime = "", **which: "Unpack[Which]") -> list[str]:
        """Return new texts, made in parallel; fewer than `count` if no text to keep is found for long.

        `which` also says which of them are kept, and in which order (`charrnn.api.sampling.Which`): `unique`, `novel`,
        `novel_to` and its `encoding`, `min_length`, `max_length`, `sort`. The other arguments are those of `sample`.
        With a model of lines or documents each text is one of these, unless `until` is given; with `lines` or
        `documents` there are this many texts for each of `count`.
        """
        return [sample.text for sample in self.samples(count, length, prime=prime, **which)]

    def samples(
        self, count: int, length: int = 2000, *, prime: Prime = "", **which: "Unpack[Which]"
    ) -> Iterator[Sample]:
        """Yield new texts as `sample_many` returns them, each with its probability."""
        check_given(prime=prime)
        temperature, which["temperature"] = which.get("temperature"), None
        return self.samples_of(prime, temperature, count, length, **which)

    def samples_of(
        self,
        primes: "Iterable[Prime] | Prime" = "",
        temperatures: Iterable[float | None] | float | None = None,
        count: int = 1,
        length: int = 2000,
        **which: "Unpack[Which]",
    ) -> Iterator[Sample]:
        """Yield `count` new texts for each of several primes at each of several temperatures, in turn.

        `Sample.prime` and `Sample.temperature` say which of them were used. With a seed each group of `count` texts
        uses the same random numbers. The other arguments are those of `samples`; with `unique` no text occurs twice in
        all groups, and with `sort` each group is ranked.
        """
        from charrnn.api.sampling import samples_of

        return samples_of(clamped(self, which), primes, temperatures, count, length, which, self._notify)

    def likeliest(self, beam: int, length: int = 2000, *, prime: Prime = "", **how: Unpack[How]) -> Sample:
        """Return the likeliest text that a beam search with `beam` candidates finds; `how` has no settings for drawing.

        With a model of lines or documents it is one of these, unless `until` is given.
        """
        return self.n_best(beam, 1, length, prime=prime, **how)[0]

    def n_best(
        self, beam: int, best: int, length: int = 2000, *, prime: Prime = "", **how: Unpack[How]
    ) -> list[Sample]:
        """Return the `best` likeliest texts that a beam search with `beam` candidates finds, the likeliest first.

        They are ranked by their probability with their end (`Sample.probability_with_end`); texts that `length` cut
        come last. The other arguments are those of `likeliest`.
        """
        from charrnn.api.sampling import n_best

        return n_best(clamped(self, how), beam, best, length, prime, how, self._notify)

    def next(self, text: Prime = "", top: int | None = 10, *, unknown: str | None = None) -> "list[Next]":
        """Return the characters that may follow a text, with their probabilities: the `top` likeliest, None for all.

        unknown: as in `encode`.
        """
        from charrnn.api.following import following

        if top is not None:
            check_whole("top", top, least=1)
        return following(self.network, self.encode(text, unknown, "`text`"), top)

    def complete(
        self,
        lines: Iterable[str],
        /,
        *,
        length: int = 200,
        beam: int | None = None,
        append: str | bytes | None = None,
        **how: Unpack[How],
    ) -> list[str]:
        """Return the completion of each line, up to its end; by default it has the likeliest character each time.

        beam: search for the likeliest completion with this many candidates. append: is put after each line; by default
        the model's `loss_after`, if a line lacks it. `until` in `how` replaces the line's end, and `temperature` is 0
        unless it is given.
        """
        answers = self.answers(length, beam=beam, append=append, **how)
        made = [sample.text for sample in answers.to(lines_of(lines, self.text.bytes))]
        answers.end()
        return made

    def complete_n_best(
        self,
        lines: Iterable[str],
        /,
        beam: int,
        best: int,
        *,
        length: int = 200,
        append: str | bytes | None = None,
        **how: Unpack[How],
    ) -> list[list[Sample]]:
        """Return the `best` likeliest completions of each line that a beam search with `beam` candidates finds.

        They are ranked as in `n_best`; the other arguments are those of `complete`.
        """
        answers = self.answers(length, beam=beam, best=best, append=append, **how)
        found = list(answers.n_best(lines_of(lines, self.text.bytes)))
        answers.end()
        return found

    def answers(
        self,
        length: int = 200,
        *,
        beam: int | None = None,
        best: int | None = None,
        append: str | bytes | None = None,
        **how: Unpack[How],
    ) -> "Answers":
        """Return `Answers`, which complete lines, some at a time; the arguments are those of `complete`."""
        from charrnn.api.completion import Answers, completing

        wanted = generation(self.network, length, completing(self.network, how, beam, best), self._notify)
        return Answers(clamped(self, how).network, wanted, beam, best, append, how.get("unknown"), self._notify)

    def alignment(self, text: Prime, *, unknown: str | None = None) -> "Alignment":
        """Return where the model looks while it reads a text, for a model with attention.

        text: one document; of lines of SOURCE, a separator and TARGET, one line. unknown: as in `encode`.
        """
        from charrnn.api.alignment import check_attends, of_text

        check_attends(self.network)
        return of_text(self.network, self.encode(text, unknown, "`text`"))

    def fill(
        self,
        text: str | bytes,
        *,
        reverse: "Model | None" = None,
        gap: str | bytes = GAP,
        candidates: int = CANDIDATES,
        best: int = 1,
        length: int = LONGEST_FILLING,
        temperature: float | None = None,
        seed: int | None = None,
        unknown: str | None = None,
    ) -> "list[Filling]":
        """Return the `best` ways to fill the gap of a text, the likeliest first.

        text: one document or line, with `gap` where something is missing; a longer run of its character is one gap.
        reverse: a model that reads in the opposite direction; candidates of both are then ranked by both. candidates:
        how many fillings of each length up to `length` a model proposes. temperature: propose texts that are drawn at
        this temperature, instead of the likeliest ones; seed: of these draws. unknown: as in `encode`.
        Raise CharRNNError if the text does not have exactly one gap.
        """
        from charrnn.api.filling import check_pair, fill, parted

        models = [self, *([] if reverse is None else [reverse])]
        if reverse is not None:
            check_pair(self.network, reverse.network)
        check_given(temperature=temperature)
        left, right = sides = parted(self._given(text), self._given(gap))
        # The given text of a model of bytes has a character for each byte.
        read = [side.encode("latin-1") if self.text.bytes else side for side in (left, right)]
        ids = [(model.encode(read[0], unknown, "`text`"), model.encode(read[1], unknown, "`text`")) for model in models]
        networks = [model.network for model in models]
        return fill(networks, sides, ids, candidates, best, length, temperature, seed)

    def evaluate(
        self,
        sources: Corpus,
        *,
        include: Corpus = (),
        field: str | None = None,
        label_field: str | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        unknown: str | None = None,
        watch: "Watch | None" = None,
    ) -> "Evaluation":
        """Return how well the model predicts a text.

        sources: files, folders, patterns or "-" for stdin; one or several. field: read the texts under this name in
        records (.jsonl, .csv, .tsv). label_field: for a model of labels, the name of the label in records; without it
        each line is a label, a tab and a text. encoding, errors: how the text is decoded; by default as UTF-8, and with
        the `errors` of training. unknown: as in `encode`. include and watch are as in `train_events`.
        """
        from charrnn.api.held_out import evaluated
        from charrnn.api.recorded import familiar
        from charrnn.data.corpus import as_ids
        from charrnn.text.reader import read_text

        check_unknown(unknown)
        named, patterns = names_and_patterns(sources, include)
        check_given(field=field)
        config = replace(self.read_as(encoding, errors), field=field, **self._labels(label_field))
        with readable_by("encoding", "errors"):
            text = read_text(named, config, patterns, watch)
        corpus = as_ids(text, self.vocab, unknown, classes=self.config.classes)
        for notice in (*corpus.text.notices, *familiar(self.path, text)):
            self._notify(notice)
        evaluation = evaluated(self.network, [corpus.part])
        # Bytes that were left out or replaced, or do not count, were not predicted.
        if not corpus.complete or self.text.loss_after is not None or self.config.classes is not None:
            return evaluation
        return replace(evaluation, bits_per_byte=evaluation.bits_per_char * len(corpus) / corpus.text.byte_count)

    def evaluate_part(self, part: str, *, watch: "Watch | None" = None) -> "Evaluation":
        """Return how well the model predicts a held-out part of its run, as at the end of training.

        part: "validation" or "test". The text is read again from the place where it was when the run began. Raise
        CharRNNError if it has changed.
        """
        from charrnn.api.held_out import evaluate_part
        from charrnn.api.recorded import recorded_data

        return evaluate_part(part, self.network, recorded_data(self.path, watch, self._notify), self._notify)

    def _labels(self, label_field: str | None) -> dict[str, Any]:
        """Return how the labels of a text are read: only a model of labels reads them."""
        check_given(label_field=label_field)
        if self.config.classes is not None:
            return {"labels": True, "label_field": label_field, "one_per_line": False}
        if label_field is not None:
            raise CharRNNError("`label_field` is for models of labels; this model predicts characters.")
        return {}

    def _in_order(self, made: Characters, before_prime: bool) -> Characters:
        """Yield the characters of a text in the order in which people read it: of some models, when it is complete."""
        if not self.text.reverse:
            return (yield from made)
        sample = whole(made).in_order(self.network, before_prime)
        yield from map(Character, sample.ids.tolist(), sample.nats.tolist())
        return sample.ended
