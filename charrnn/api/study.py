"""The study of a search: the journal of its trials, what Optuna would try next, and which trials it ends early.

The journal has each trial as soon as it begins, with its settings, and again when it ends. Everything else is computed
from these trials and the seed alone, by studies in memory that are made anew each time. So a search that was killed and
goes on decides what it would have decided.
"""

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.api.search_space import Space
from charrnn.atomic import not_written
from charrnn.config import RUNGS, Range
from charrnn.errors import CharRNNError

COMPLETE, PRUNED, FAILED, RUNNING = "complete", "pruned", "failed", "running"
# So many trials are drawn at random before the sampler learns from them. In these, each setting keeps its default with
# this chance: the defaults are good, so a trial that changes some of them is better more often than one that changes
# all.
RANDOM, DEFAULT_KEPT = 8, 0.5
# Of each two trials at a rung, one is ended.
FACTOR = 2
# With fewer trials, nothing is said of which settings matter: a quarter of them must be 5, by Optuna's advice.
ENOUGH, BEST_SHARE = 20, 0.25
_NAME, _ENDED = "charrnn", "ended"
# How the journal of a search that has ended ends.
_ENDS = b'"user_attr":{"ended":true}}\n'


@dataclass(frozen=True)
class Entry:
    """What the journal says of a trial.

    params: the searched settings. rungs: validation losses, in nats, by percent of the trial's length. nats: the exact
    validation loss of a complete trial. facts: everything else that was recorded of it.
    """

    number: int
    state: str
    params: Mapping[str, Any]
    rungs: Mapping[int, float]
    nats: float | None
    facts: Mapping[str, Any]


def check_optuna() -> None:
    """Raise CharRNNError if Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise CharRNNError(
            "A search needs Optuna, which is not installed.", hint="Install it: pip install 'charrnn[tune]'"
        )


def has_ended(journal: Path) -> bool:
    """Return whether a journal says that its search has come to its end; nothing is written or mended."""
    try:
        return journal.read_bytes().endswith(_ENDS)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CharRNNError(f"{journal} cannot be read: {error.strerror}.") from error


class _Unlocked:
    """No lock of a journal: the folder of the search has one, which ends with its process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Study:
    """The study in a journal; only one process may have it, and it need hold no lock of Optuna's."""

    def __init__(self, journal: Path, space: Space, seed: int):
        """Open a journal, or begin one; CharRNNError if it cannot be read or written."""
        self.journal, self.space, self.seed = journal, space, seed
        with _optuna() as optuna, self._writing():
            _mend(journal)
            journals = optuna.storages.journal
            try:
                self._storage = optuna.storages.JournalStorage(
                    journals.JournalFileBackend(str(journal), lock_obj=_Unlocked())
                )
                load = optuna.load_study if self._storage.get_all_studies() else optuna.create_study
                self._study = load(storage=self._storage, study_name=_NAME)
            except OSError:
                raise
            except Exception as error:
                # Optuna checks nothing: any of them may come from a line that it did not write.
                raise CharRNNError(
                    f"{journal} is damaged: {error or type(error).__name__}.", "Search again under another name."
                ) from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise not_written(self.journal, error) from error

    def entries(self) -> list[Entry]:
        """Return all trials in their order."""
        return [_entry(trial) for trial in self._study.get_trials(deepcopy=False)]

    def finished(self) -> list[Entry]:
        return [entry for entry in self.entries() if entry.state != RUNNING]

    def running(self) -> Entry | None:
        """Return the trial that has begun and not ended."""
        return next((entry for entry in self.entries() if entry.state == RUNNING), None)

    @property
    def is_ended(self) -> bool:
        """Return whether the search has come to its end."""
        return bool(self._study.user_attrs.get(_ENDED))

    def end(self) -> None:
        """Record that the search has come to its end."""
        with self._writing():
            self._study.set_user_attr(_ENDED, True)

    def begin(self, **facts: Any) -> Entry:
        """Record a new trial, with what is tried and with these facts, and return it."""
        with _optuna() as optuna, self._writing():
            trial = optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=self._next(optuna),
                distributions=_distributions(optuna, self.space.ranges),
                user_attrs=facts,
            )
            self._study.add_trial(trial)
        return self.entries()[-1]

    def _next(self, optuna: Any) -> dict[str, Any]:
        """Return the settings of the next trial: of the first one the defaults, so no search is worse than those."""
        trials = self._study.get_trials(deepcopy=False)
        if not trials:
            return dict(self.space.defaults)
        seed = int(np.random.SeedSequence([self.seed, len(trials)]).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=RANDOM)
        study = optuna.create_study(sampler=sampler)
        study.add_trials(trials)
        found = self.space.chosen(study.ask(_distributions(optuna, self.space.ranges)).params)
        if len(trials) >= RANDOM:
            return found
        keeps = np.random.default_rng(seed).random(len(found)) < DEFAULT_KEPT
        if keeps.all():
            return found
        return {
            name: self.space.defaults[name] if kept else value
            for (name, value), kept in zip(found.items(), keeps, strict=True)
        }

    def report(self, entry: Entry, percent: int, nats: float) -> None:
        """Record the validation loss of a running trial at a rung; to record it again changes nothing."""
        if entry.rungs.get(percent) != nats:
            with self._writing():
                self._storage.set_trial_intermediate_value(self._id(entry), percent, nats)

    def is_pruned(self, entry: Entry, rungs: Mapping[int, float]) -> bool:
        """Return whether a trial with these losses at its rungs is ended: too many of the trials before are better."""
        before = [other.rungs for other in self.entries()[: entry.number] if other.state in (COMPLETE, PRUNED)]
        return pruned([*before, rungs])

    def finish(self, entry: Entry, state: str, nats: float | None = None, **facts: Any) -> None:
        """Record the end of a trial, last of all its state: what comes before that is recorded again after a kill."""
        with _optuna() as optuna, self._writing():
            states = optuna.trial.TrialState
            found = {COMPLETE: states.COMPLETE, PRUNED: states.PRUNED, FAILED: states.FAIL}[state]
            for name, value in facts.items():
                self._storage.set_trial_user_attr(self._id(entry), name, value)
            values = None if nats is None else [nats]
            self._storage.set_trial_state_values(self._id(entry), found, values)

    def _id(self, entry: Entry) -> int:
        return int(self._study.get_trials(deepcopy=False)[entry.number]._trial_id)


def pruned(losses: Sequence[Mapping[int, float]]) -> bool:
    """Return whether the last of some trials is ended early, given the losses of all of them at their rungs.

    This is asynchronous successive halving: at each rung the better half goes on.
    """
    with _optuna() as optuna:
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=RUNGS[0], reduction_factor=FACTOR)
        study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))
        ended = False
        for rungs in losses:
            trial, ended = study.ask(), False
            for percent in sorted(rungs):
                trial.report(rungs[percent], percent)
                ended = trial.should_prune()
    return ended


def importance(entries: Sequence[Entry], ranges: Mapping[str, Range]) -> dict[str, float] | None:
    """Return how much each setting matters for being among the best trials, as shares of 1; None of too few trials.

    By PED-ANOVA (Watanabe, Bansal and Hutter 2023), which needs only the order of the trials: the complete ones by
    their loss, then those that were ended early, by how far they came and by their loss there.
    """
    judged = [entry for entry in entries if entry.state in (COMPLETE, PRUNED)]
    if len(judged) < ENOUGH or len(ranges) < 2:
        return None
    judged.sort(key=_rank)
    with _optuna() as optuna:
        study = optuna.create_study()
        for place, entry in enumerate(judged):
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(entry.params), distributions=_distributions(optuna, ranges), value=float(place)
                )
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(ranges))
    return {name: float(share) for name, share in found.items()}


def _rank(entry: Entry) -> tuple[float, float]:
    if entry.nats is not None:
        return 0, entry.nats
    last = max(entry.rungs)
    return 1 / last, entry.rungs[last]


def _entry(trial: Any) -> Entry:
    state = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}.get(trial.state.name, RUNNING)
    nats = trial.value if state == COMPLETE else None
    return Entry(trial.number, state, trial.params, trial.intermediate_values, nats, trial.user_attrs)


def _distributions(optuna: Any, ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Return the ranges as Optuna knows them: what it draws is replaced by the nearest value that is allowed."""
    made, kinds = {}, optuna.distributions
    for name, one in ranges.items():
        kind = kinds.IntDistribution if one.values else kinds.FloatDistribution
        made[name] = kind(one.low, one.high, log=one.log)
    return made


def _mend(journal: Path) -> None:
    """Remove a last line that a killed process had not finished: Optuna would write the next one behind it."""
    if not journal.is_file():
        return
    data = journal.read_bytes()
    if (end := data.rfind(b"\n") + 1) < len(data):
        with open(journal, "rb+") as file:
            file.truncate(end)


@contextmanager
def _optuna() -> Iterator[Any]:
    """Yield Optuna, silent: its log would be among the lines of charrnn, and its warnings are for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        try:
            yield optuna
        finally:
            optuna.logging.set_verbosity(before)
