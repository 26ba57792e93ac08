"""Two trainers of one run, here in two threads, which meet wherever two processes would: what they agree on."""

import errno
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from charrnn.errors import NotWritten
from charrnn.runs.folder import Run
from charrnn.training.backends.jax.distributed import Processes
from charrnn.training.events import BudgetFixed, Ended, RolledBack, Saved, SaveFailed, Stepped
from charrnn.training.trainer import Trainer
from support.trainers import CONFIG, MINUTES, assert_same, last, make_trainer, metrics, of, steps, timed


class Meeting:
    """Where both tell each other numbers; if only one comes, or one has more to tell, that is an error."""

    def __init__(self):
        self.barrier = threading.Barrier(2, timeout=60)
        self.told: list[list[int]] = [[], []]
        self.times = 0

    def exchange(self, id: int, numbers: list[int]) -> list[list[int]]:
        self.told[id] = numbers
        self.barrier.wait()
        found = [list(told) for told in self.told]
        assert len(found[0]) == len(found[1])
        self.times += id
        self.barrier.wait()
        return found


@dataclass(frozen=True)
class Meeters(Processes):
    meeting: Any = None

    def all(self, numbers):
        return self.meeting.exchange(self.id, list(numbers))


def both(path: Path, config=CONFIG, each: Callable[[Trainer], Trainer] = lambda trainer: trainer, **settings):
    """Return two trainers that train one run, the first of which writes it."""
    meeting = Meeting()
    return [
        each(make_trainer(path / str(id), config, processes=Meeters(2, id, None, meeting), **settings)) for id in (0, 1)
    ]


def run(trainers: list[Trainer], actions: dict[int, Callable[[Trainer, int], None]] | None = None) -> list[list]:
    """Return the events of each, or the error it ended with; an action is called after each step of its trainer."""

    def train(id: int) -> Any:
        events: list[Any] = []
        try:
            for event in trainers[id].events():
                events.append(event)
                if isinstance(event, Stepped) and id in (actions or {}):
                    actions[id](trainers[id], event.step)
        except NotWritten as error:
            events.append(error)
        return events

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(train, (0, 1)))


def test_the_first_writes_what_one_alone_would_have_written(tmp_path):
    list(make_trainer(tmp_path / "alone").events())
    first, second = run(both(tmp_path))
    written, expected = Run(tmp_path / "0"), Run(tmp_path / "alone")
    assert steps(written) == steps(expected) and metrics(written.path) == metrics(expected.path)
    assert_same(last(written), last(expected))
    assert not list((tmp_path / "1").iterdir())
    assert [type(event) for event in first] == [type(event) for event in second] and first[-1] == Ended("budget", 40)


def test_whoever_is_to_stop_or_save_does_so_with_the_other(tmp_path):
    def ask(trainer: Trainer, step: int) -> None:
        trainer.save_wanted = step == 3
        trainer.interrupted = step == 12

    for who in (0, 1):
        (tmp_path / str(who)).mkdir()
        ends = run(both(tmp_path / str(who)), {who: ask})
        for events in ends:
            assert events[-1] == Ended("interrupted", 12)
            assert [event.step for event in of(Saved, events)] == [3]
        assert steps(Run(tmp_path / str(who) / "0")) == [3, 7, 10, 12]


def test_the_clock_of_the_first_counts(tmp_path):
    ways = iter([{"step": 1.0}, {"step": 3.0}])
    trainers = both(tmp_path, MINUTES, lambda trainer: timed(trainer, **next(ways)))
    ends = run(trainers)
    alone = list(timed(make_trainer(tmp_path / "alone", MINUTES)).events())
    totals = [[event.total for event in of(BudgetFixed, events)] for events in (*ends, alone)]
    assert totals[0] == totals[1] == totals[2] and len(totals[0]) == 1
    assert [events[-1] for events in ends] == [alone[-1]] * 2


@pytest.mark.parametrize("full_at", [{10, 14}, {40}, {10, 40}])
def test_a_full_disk_of_the_first(full_at, tmp_path, monkeypatch):
    trainers = both(tmp_path)

    def sync_folder(folder: Path) -> None:
        assert folder == tmp_path / "0"
        if trainers[0].step in full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("charrnn.runs.log.sync_folder", sync_folder)
    first, second = run(trainers)
    assert [event.step for event in of(SaveFailed, first)] == sorted(full_at)
    assert not of(SaveFailed, second)
    if 40 in full_at:
        # What could not be saved at the very end is an error for both.
        assert isinstance(first[-1], NotWritten) and "No space left" in second[-1].message
    else:
        assert first[-1] == second[-1] == Ended("budget", 40)


def test_both_go_back_from_what_went_wrong(tmp_path):
    def spoil(trainer: Trainer) -> Trainer:
        spoilt: list[int] = []
        trainer.learner.spoilt = lambda learner, at: (
            math.nan if at == 18 and not (spoilt or spoilt.append(at)) else None
        )
        return trainer

    ends = run(both(tmp_path, replace(CONFIG, steps=25), spoil))
    for events in ends:
        (back,) = of(RolledBack, events)
        assert back.step == 14 and events[-1] == Ended("budget", 25)


def test_only_the_places_of_agreement_are_met(tmp_path):
    trainers = both(tmp_path)
    run(trainers)
    # After each step, and once at the end: no evaluation or save needs a word.
    assert trainers[0].processes.meeting.times == CONFIG.steps + 1


def test_what_counts_is_what_counts_in_all(tmp_path):
    """Where nothing counts in one process the other's targets are enough; every process tells the guard the same."""
    counts = iter([lambda number: 30 * (number % 2), lambda number: 10 * (number // 2 % 2)])

    def counting(trainer: Trainer) -> Trainer:
        trainer.learner.counted = next(counts)
        return trainer

    trainers = both(tmp_path, each=counting)
    told = [[event.nats is None for event in of(Stepped, events)] for events in run(trainers)]
    # In every fourth step nothing counts in either.
    assert told[0] == told[1] == [number % 4 == 0 for number in range(CONFIG.steps)]
    assert trainers[0].progress.stability == trainers[1].progress.stability
