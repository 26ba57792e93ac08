"""Training in a process of its own: if it fails, is killed or needs too much memory, this process goes on.

The child reads what to train from stdin, as a pickle, and then the words "stop", "save" and "go on"; when its stdin
ends, its parent has died, and it ends too. It writes the events of training to a pipe, as pickles. After an evaluation
it waits for "go on": so a run that is ended at an evaluation has taken no step after it.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.api.events import Evaluated, Event, Stepped
from charrnn.api.own_cells import loaded_files
from charrnn.errors import CharRNNError, NotWritten
from charrnn.lean import leave_out_unneeded

# Seconds between two steps that are told; each step would cost both processes time.
TOLD_EVERY = 0.2
# The first words of what goes through the pipe.
_EVENT, _FAILED, _NOT_WRITTEN = "event", "failed", "not written"
_CHILD = "from charrnn.api.apart import child; child(int(input_fd))"
_HERE = Path(__file__).parent.parent.parent
# How much of what a child that died wrote to stderr is shown, in characters.
_LAST_WORDS = 300
_STOP, _SAVE, _GO_ON = b"stop\n", b"save\n", b"go on\n"


class Died(CharRNNError):
    """The process that trained was ended by a signal: by the system, which had no memory left, or by somebody."""


class Apart:
    """A training run in a process of its own: iterate over it to train; it yields the events of training.

    Of the steps only some are told, and evaluations have no weights. `stop` saves the run after the current step and
    ends it; it may be called from a signal handler. Leaving the context kills the process: after an evaluation, exactly
    there.
    """

    def __init__(self, corpus: Any = (), resume: str | Path | None = None, held: Sequence[int] = (), **settings: Any):
        """Keep the arguments of `train_events` or, with `resume`, of `resume_events`; nothing runs yet.

        held: descriptors that the process keeps open, such as that of a lock, which nobody else has before it ends.
        """
        self.call = {
            "corpus": corpus,
            "resume": None if resume is None else str(resume),
            "settings": settings,
            "cells": loaded_files(),
        }
        self.held = tuple(held)
        self.process: subprocess.Popen[bytes] | None = None
        # Whether the process has been told what to train: a word before that would be no part of the pickle.
        self._listens = self._stopping = self._saving = False
        self._events = self._all()

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __enter__(self) -> "Apart":
        return self

    def __exit__(self, *exception: object) -> None:
        self._events.close()

    def stop(self) -> None:
        """End training after the current step, or before the first one; its state is saved."""
        self._stopping = True
        self._say(_STOP)

    def save(self) -> None:
        """Save after the current step, or after the first one, and continue."""
        self._saving = True
        self._say(_SAVE)

    def kill(self) -> None:
        """End the process at once; for a signal that ends this process too."""
        if self.process is not None:
            self.process.kill()

    def _say(self, word: bytes) -> None:
        if self._listens and self.process is not None and self.process.stdin is not None:
            # It may have ended, and its stdin may be closed.
            with suppress(OSError, ValueError):
                os.write(self.process.stdin.fileno(), word)

    def _all(self) -> Generator[Event, None, None]:
        reading, writing = os.pipe()
        try:
            with open(reading, "rb") as events:
                try:
                    self.process = _begun(writing, self.held)
                finally:
                    os.close(writing)
                yield from self._told(self.process, events)
        finally:
            if self.process is not None:
                self.process.kill()
                self.process.communicate()

    def _told(self, process: "subprocess.Popen[bytes]", events: BinaryIO) -> Iterator[Event]:
        """Yield the events that a process tells; CharRNNError if it fails or dies."""
        assert process.stdin is not None and process.stderr is not None
        words = _LastWords(process.stderr)
        call = pickle.dumps(self.call)
        with suppress(OSError):
            while call:
                call = call[os.write(process.stdin.fileno(), call) :]
        self._listens = True
        for word in [_STOP] * self._stopping + [_SAVE] * self._saving:
            self._say(word)
        while (told := _next(events)) is not None:
            kind, what = told
            if kind == _FAILED:
                raise CharRNNError(*what)
            if kind == _NOT_WRITTEN:
                raise NotWritten(*what)
            yield what
            if isinstance(what, Evaluated):
                self._say(_GO_ON)
        code = process.wait()
        words.end()
        if code < 0:
            raise Died(
                f"The process that trained it was ended by signal {-code} ({_signal(-code)}).",
                hint="Perhaps there was not enough memory: use fewer `units`, or a smaller `batch` or `seq`."
                if -code == signal.SIGKILL
                else None,
            )
        if code:
            raise CharRNNError(f"The process that trained it failed (exit code {code}): {words.text or 'no message.'}")


class _LastWords:
    """What a process wrote last to its stderr; a thread reads it, so that the process never waits."""

    def __init__(self, stream: Any):
        self._end = b""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        with suppress(ValueError, OSError):
            while data := os.read(stream.fileno(), 4096):
                self._end = (self._end + data)[-4096:]

    def end(self) -> None:
        self._thread.join(5)

    @property
    def text(self) -> str:
        lines = self._end.decode(errors="replace").strip().splitlines()
        return lines[-1][-_LAST_WORDS:] if lines else ""


def _begun(writing: int, held: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Return a new process that waits for what to train, and tells its events to this end of a pipe."""
    path = os.pathsep.join(filter(None, [str(_HERE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD.replace("input_fd", str(writing))],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        pass_fds=[writing, *held],
        bufsize=0,
        # Ctrl-C is for this process, which then asks the other to stop.
        start_new_session=True,
    )


def _next(events: BinaryIO) -> tuple[str, Any] | None:
    """Return what was told next; None at the end, also inside of a message that a dying process began."""
    try:
        return pickle.load(events)
    except (EOFError, pickle.UnpicklingError):
        return None


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return "unknown"


# The other process


def child(writing: int) -> None:
    """Train as stdin says, and tell the events to a descriptor; does not return."""
    began = time.perf_counter()
    _die_first()
    leave_out_unneeded()
    # Never closed: a thread may be waiting for its next line.
    stdin = sys.stdin.buffer
    with open(writing, "wb") as pipe:
        try:
            _train(pickle.load(stdin), began, stdin, pipe)
        except CharRNNError as error:
            _tell(pipe, _NOT_WRITTEN if isinstance(error, NotWritten) else _FAILED, (error.message, error.hint))
        except Exception as error:
            _tell(pipe, _FAILED, _explained(error))
    # Threads of the framework, and the one that reads stdin, need not end first.
    os._exit(0)


def _train(call: dict[str, Any], began: float, stdin: BinaryIO, pipe: BinaryIO) -> None:
    from charrnn.api.own_cells import load_cells
    from charrnn.api.training import resume_events, train_events

    load_cells(call["cells"])
    settings = {**call["settings"], "corpus": call["corpus"], "began": began}
    training = train_events(**settings) if call["resume"] is None else resume_events(call["resume"], **settings)
    going = threading.Event()
    threading.Thread(target=_obey, args=(stdin, training, going), daemon=True).start()
    last = 0.0
    with training:
        for event in training:
            if isinstance(event, Stepped):
                if (now := time.perf_counter()) - last < TOLD_EVERY:
                    continue
                last = now
            elif isinstance(event, Evaluated):
                event = replace(event, weights={})
            _tell(pipe, _EVENT, event)
            if isinstance(event, Evaluated):
                going.wait()
                going.clear()


def _obey(stdin: BinaryIO, training: Any, going: threading.Event) -> None:
    """Stop training or go on when the parent asks for it, and end this process when the parent has died."""
    while word := stdin.readline():
        if word == _STOP:
            training.stop()
            going.set()
        elif word == _GO_ON:
            going.set()
        elif word == _SAVE:
            training.save()
    os._exit(1)


def _tell(pipe: BinaryIO, kind: str, what: Any) -> None:
    pickle.dump((kind, what), pipe)
    pipe.flush()


def _explained(error: Exception) -> tuple[str, str | None]:
    """Return a message and a hint for an error that charrnn did not expect."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name in ("ResourceExhaustedError", "XlaRuntimeError"):
        return "There was not enough memory.", "Use fewer `units`, or a smaller `batch` or `seq`."
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{name}: {first[:_LAST_WORDS]}", None


def _die_first() -> None:
    """If the memory of the machine is used up, Linux is to end this process, not its parent or another one."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
