"""The log: lines in order, cut back to what a checkpoint vouches for, none lost to a full disk."""

import errno
import hashlib
import json
import math
import os
from pathlib import Path

import pytest

from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.log import MetricsLog
from charrnn.runs.progress import LogPosition

EMPTY = LogPosition(0, hashlib.sha256().hexdigest())


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def steps(log: MetricsLog) -> list[int]:
    return [json.loads(line)["step"] for line in log.path.read_bytes().splitlines()]


def full(monkeypatch, log: MetricsLog) -> None:
    """Let the disk take 5 bytes of a line and no more."""

    def write(self: MetricsLog) -> None:
        with open(self.path, "ab") as file:
            file.truncate(self.written)
            file.write(self.lines[self.written :][:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(MetricsLog, "_write", write)


def test_the_log_is_lines_of_json_in_the_order_given(log):
    assert log.position() == EMPTY and not log.path.exists()
    log.append({"step": 1, "epoch": 0.5, "val_nats": None})
    log.append({"step": 2, "a": "é\n"})
    data = log.path.read_bytes()
    assert data == b'{"step": 1, "epoch": 0.5, "val_nats": null}\n{"step": 2, "a": "\\u00e9\\n"}\n'
    assert log.position() == LogPosition(len(data), hashlib.sha256(data).hexdigest())
    with pytest.raises(ValueError):
        log.append({"val_nats": math.nan})
    assert log.position() == LogPosition(len(data), hashlib.sha256(data).hexdigest())


def test_a_resumed_log_is_cut_back_by_its_first_line_and_not_before(log):
    for step in (1, 2):
        log.append({"step": step})
    recorded = log.position()
    log.append({"step": 3})
    with open(log.path, "ab") as file:
        file.write(b'{"st')
    before = log.path.read_bytes()
    again = MetricsLog(log.path)
    again.resume(recorded)
    assert again.position() == recorded and log.path.read_bytes() == before
    again.append({"step": 4})
    assert steps(again) == [1, 2, 4]
    data = log.path.read_bytes()
    assert again.position() == LogPosition(len(data), hashlib.sha256(data).hexdigest())


def test_saving_cuts_a_resumed_log_back_too(log):
    log.append({"step": 1})
    recorded = log.position()
    log.append({"step": 2})
    again = MetricsLog(log.path)
    again.resume(recorded)
    again.sync()
    assert steps(again) == [1]


def test_a_log_goes_back_within_one_process(log):
    for step in (1, 2):
        log.append({"step": step})
    recorded = log.position()
    log.append({"step": 3})
    log.rewind(recorded)
    log.append({"step": 4})
    assert steps(log) == [1, 2, 4]
    log.rewind(EMPTY)
    log.append({"step": 5})
    assert steps(log) == [5]


def test_a_log_that_is_another_is_refused_and_left_alone(log):
    for step in (1, 2):
        log.append({"step": step})
    recorded = log.position()
    good = log.path.read_bytes()
    for other in (good[:-1], good[:3] + b"X" + good[4:], b""):
        log.path.write_bytes(other)
        with pytest.raises(CharRNNError, match="does not begin with"):
            MetricsLog(log.path).resume(recorded)
        assert log.path.read_bytes() == other
    log.path.write_bytes(good)
    with pytest.raises(CharRNNError):
        MetricsLog(log.path).resume(LogPosition(2**60, recorded.sha256))


def test_a_log_that_was_moved_away_begins_anew_with_the_next_checkpoint(log):
    log.append({"step": 1})
    recorded = log.position()
    log.path.unlink()
    again = MetricsLog(log.path)
    again.resume(recorded)
    again.append({"step": 2})
    # A crash now leaves what was there: a checkpoint, and no log.
    assert not log.path.exists()
    MetricsLog(log.path).resume(recorded)
    again.sync()
    again.append({"step": 3})
    assert steps(again) == [2, 3]
    MetricsLog(log.path).resume(again.position())


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: os.truncate(path, 5)])
def test_a_log_that_is_removed_or_cut_while_training_is_written_again(log, spoil):
    for step in (1, 2):
        log.append({"step": step})
    spoil(log.path)
    log.append({"step": 3})
    assert steps(log) == [1, 2, 3]
    spoil(log.path)
    log.sync()
    assert steps(log) == [1, 2, 3]


def test_no_line_is_lost_to_a_full_disk(log, monkeypatch):
    log.append({"step": 1})
    with monkeypatch.context() as patch:
        full(patch, log)
        log.append({"step": 2})
        inside = log.position()
        log.append({"step": 3})
        with pytest.raises(NotWritten, match="No space left"):
            log.sync()
    assert log.path.read_bytes() == b'{"step": 1}\n{"ste'
    log.sync()
    assert steps(log) == [1, 2, 3]
    with monkeypatch.context() as patch:
        full(patch, log)
        log.append({"step": 4})
        log.rewind(inside)
    log.append({"step": 5})
    assert steps(log) == [1, 2, 5]


def test_lines_in_memory_alone_can_be_gone_back_among(log, monkeypatch):
    log.append({"step": 1})
    with monkeypatch.context() as patch:
        full(patch, log)
        log.append({"step": 2})
        inside = log.position()
        log.append({"step": 3})
        log.rewind(inside)
        assert log.position() == inside
    log.sync()
    assert steps(log) == [1, 2]
