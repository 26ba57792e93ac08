"""Several processes that train one run: which one this is, how they begin, what they agree on, how they end together.

JAX connects them. The first one writes the run. The others compute their rows of the batch, and never decide alone.
"""

import atexit
import ctypes
import json
import logging
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from charrnn.errors import CharRNNError

# Seconds: how long the processes wait for each other at the start, and how long one may be silent before it is lost.
BEGIN_WITHIN, SILENT = 40, 20
# The size in bytes of a message from the first process to the others.
MESSAGE = 4096
# Parts of JAX's messages when another process has ended: before it aborts this one, and in the error of a computation.
ABORTING = "JAX distributed service detected fatal errors"
FAILING = re.compile(r"Gloo .* failed|NCCL|[Cc]oordination service")


@dataclass(frozen=True)
class Processes:
    """Process `id` of `count`; `coordinator` is HOST:PORT of the first process, or None if SLURM knows it."""

    count: int = 1
    id: int = 0
    coordinator: str | None = None

    @property
    def is_first(self) -> bool:
        return self.id == 0

    def connect(self, device: str) -> None:
        """Connect to the others; to be called before JAX computes anything. If one is missing, the process ends."""
        import jax

        if self.is_first and self.coordinator:
            _check_port(int(self.coordinator.rpartition(":")[2]))
        # It warns about proxies on stderr.
        logging.getLogger("jax._src.distributed").setLevel(logging.ERROR)
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # It would handle SIGTERM itself.
        jax.config.update("jax_enable_preemption_service", False)
        number = device.partition(":")[2]
        try:
            jax.distributed.initialize(
                self.coordinator,
                self.count,
                self.id,
                local_device_ids=int(number) if number else None,
                # JAX itself reads the address of the first node and the GPU of each task from SLURM's variables.
                cluster_detection_method="slurm" if self.coordinator is None else "deactivate",
                initialization_timeout=BEGIN_WITHIN,
                heartbeat_timeout_seconds=SILENT,
                shutdown_timeout_seconds=SILENT,
            )
        except (RuntimeError, ValueError) as error:
            what = str(error).partition("\n")[0]
            raise CharRNNError(f"The processes could not be connected: {what}", hint="Check `coordinator`.") from None

    def leave(self) -> None:
        """Disconnect from the others after the last common computation; errors are ignored."""
        if self.count > 1:
            import jax

            with suppress(RuntimeError, ValueError):
                jax.distributed.shutdown()

    def all(self, numbers: Sequence[int]) -> list[list[int]]:
        """Return the numbers of every process, in their order; all give the same number of 32-bit numbers."""
        if self.count == 1:
            return [list(numbers)]
        import numpy as np
        from jax.experimental.multihost_utils import process_allgather

        return process_allgather(np.array(numbers, np.int32)).tolist()

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set in any process."""
        return [any(column) for column in zip(*self.all(list(map(int, flags))), strict=True)]

    def first(self, value: Any) -> Any:
        """Return the value of the first process: a number, a bool, None, or a text, which may be cut."""
        if self.count == 1:
            return value
        message = json.dumps(value[: MESSAGE // 8] if isinstance(value, str) else value).encode().ljust(MESSAGE)
        return json.loads(bytes(self.all(list(message))[0]))

    def check_alike(self, facts: Mapping[str, str]) -> None:
        """Raise CharRNNError, in every process, unless all have the same facts: names with digests."""
        numbers = [int(digest[:7], 16) for digest in facts.values()]
        each = self.all(numbers)
        for place, what in enumerate(facts):
            odd = [process for process, own in enumerate(each) if own[place] != each[0][place]]
            if odd:
                raise CharRNNError(
                    f"Process {odd[0]} has another {what} than process 0.",
                    hint="Give every process the same command and the same files.",
                )


def _check_port(port: int) -> None:
    """Raise CharRNNError if this process cannot listen on a port: JAX would crash."""
    both = socket.has_dualstack_ipv6()
    address, family = ("::", socket.AF_INET6) if both else ("", socket.AF_INET)
    try:
        socket.create_server((address, port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise CharRNNError(
            f"Process 0 cannot listen on port {port} of `coordinator`: {error.strerror}.", hint="Use another port."
        ) from None


ALONE = Processes()


def among(count: int | None, id: int | None, coordinator: str | None) -> Processes:
    """Return which process this is, from the arguments or, if there are none, from SLURM's srun."""
    if count is None and id is None and coordinator is None:
        # Inside a job, but outside srun, there are no tasks.
        tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
        return Processes(tasks, int(os.environ["SLURM_PROCID"])) if tasks > 1 else ALONE
    if count == 1:
        return ALONE
    if count is None or id is None or coordinator is None:
        raise CharRNNError(
            "`processes`, `process_id` and `coordinator` must be given together.",
            hint="Example: `processes=2` `process_id=0` `coordinator='node1:29400'`, and elsewhere `process_id=1`.",
        )
    if not 0 <= id < count:
        raise CharRNNError(f"`process_id` is {id}; with {count} processes it must be 0 to {count - 1}.")
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise CharRNNError(
            f"`coordinator` is {coordinator!r}; it must be HOST:PORT of process 0.", hint="Example: node1:29400."
        )
    return Processes(count, id, coordinator)


def end_with(last_words: Callable[[], None]) -> None:
    """Make this process end with `last_words` and exit code 1 if JAX aborts it because another process has ended.

    From now on only Python writes to the terminal: the output of native code is held back, and shown if the process
    aborts for any other reason.
    """
    held, terminal = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115
    sys.stderr.flush()
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    os.dup2(held.fileno(), 1)
    os.dup2(held.fileno(), 2)

    def aborted(number: int) -> None:
        # Other threads may be writing to it.
        talk = os.pread(held.fileno(), os.fstat(held.fileno()).st_size, 0)
        if ABORTING.encode() in talk:
            last_words()
            os._exit(1)
        os.write(terminal, talk)
        os._exit(128 + number)

    # Python's own handlers run only when Python code runs again, which an aborted process never does.
    _kept.append(ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted))
    ctypes.CDLL(None).signal(signal.SIGABRT, _kept[-1])


# Functions that native code calls must not be garbage-collected.
_kept: list[Any] = []


@contextmanager
def ends_with_others(processes: Processes) -> Iterator[None]:
    """Turn the error of a computation into a CharRNNError if another process has ended."""
    try:
        yield
    except BaseException as error:
        if processes.count == 1:
            raise
        # At the end of Python, JAX would wait for the others, and abort.
        atexit.register(os._exit, 1)
        if isinstance(error, CharRNNError) or not FAILING.search(str(error)):
            raise
        raise lost(str(error).partition("\n")[0]) from None


def lost(why: str = "") -> CharRNNError:
    """Return the error for the end of another process."""
    return CharRNNError(
        "Another process of this run has ended, or cannot be reached: this one ends too"
        + (f" ({why})." if why else "."),
        hint="Read the messages of the other processes; all can go on together with `resume`.",
    )
