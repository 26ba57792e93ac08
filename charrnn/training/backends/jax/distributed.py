"""Several processes that train one run: which this is, how they begin, what they agree on, and how they end together.

JAX connects them. The first writes the run; the others compute their rows of the batch, and decide nothing alone.
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

# Seconds: how long the processes wait for each other to begin, and for a sign of life from one that says nothing.
BEGIN_WITHIN, SILENT = 40, 20
# Bytes of what the first process tells the others.
MESSAGE = 4096
# In what JAX says when another process has ended: before it aborts this one, and in the error of a computation.
ABORTING = "JAX distributed service detected fatal errors"
FAILING = re.compile(r"Gloo .* failed|NCCL|[Cc]oordination service")


@dataclass(frozen=True)
class Processes:
    """Process `id` of `count`; `coordinator` is HOST:PORT of the first, or None where SLURM knows it."""

    count: int = 1
    id: int = 0
    coordinator: str | None = None

    @property
    def is_first(self) -> bool:
        return self.id == 0

    def connect(self, device: str) -> None:
        """Meet the others; to be called before JAX computes anything. Where one is missing, the process ends."""
        import jax

        if self.is_first and self.coordinator:
            _check_port(int(self.coordinator.rpartition(":")[2]))
        # It warns of proxies, on stderr.
        logging.getLogger("jax._src.distributed").setLevel(logging.ERROR)
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        # It would take SIGTERM for itself.
        jax.config.update("jax_enable_preemption_service", False)
        number = device.partition(":")[2]
        try:
            jax.distributed.initialize(
                self.coordinator,
                self.count,
                self.id,
                local_device_ids=int(number) if number else None,
                # JAX itself reads the address of the first node, and which GPU is a task's, from SLURM's variables.
                cluster_detection_method="slurm" if self.coordinator is None else "deactivate",
                initialization_timeout=BEGIN_WITHIN,
                heartbeat_timeout_seconds=SILENT,
                shutdown_timeout_seconds=SILENT,
            )
        except (RuntimeError, ValueError) as error:
            what = str(error).partition("\n")[0]
            raise CharRNNError(
                f"The processes could not be connected: {what}", hint="Is `coordinator` right?"
            ) from None

    def leave(self) -> None:
        """Part from the others, once nothing is to be computed together any more; whatever comes of it."""
        if self.count > 1:
            import jax

            with suppress(RuntimeError, ValueError):
                jax.distributed.shutdown()

    def all(self, numbers: Sequence[int]) -> list[list[int]]:
        """Return the numbers of every process, in their order; each gives as many, of 32 bits."""
        if self.count == 1:
            return [list(numbers)]
        import numpy as np
        from jax.experimental.multihost_utils import process_allgather

        return process_allgather(np.array(numbers, np.int32)).tolist()

    def any(self, *flags: bool) -> list[bool]:
        """Return of each flag whether it is set in any process."""
        return [any(column) for column in zip(*self.all(list(map(int, flags))), strict=True)]

    def first(self, value: Any) -> Any:
        """Return what the first process gives: a number, a truth value, None, or a text, which may be cut."""
        if self.count == 1:
            return value
        message = json.dumps(value[: MESSAGE // 8] if isinstance(value, str) else value).encode().ljust(MESSAGE)
        return json.loads(bytes(self.all(list(message))[0]))

    def check_alike(self, facts: Mapping[str, str]) -> None:
        """Raise CharRNNError, in every process, unless all have the same facts: digests, by what they are of."""
        numbers = [int(digest[:7], 16) for digest in facts.values()]
        each = self.all(numbers)
        for place, what in enumerate(facts):
            odd = [process for process, own in enumerate(each) if own[place] != each[0][place]]
            if odd:
                raise CharRNNError(
                    f"Process {odd[0]} has another {what} than process 0.",
                    hint="Give every process the same command, and the same files.",
                )


def _check_port(port: int) -> None:
    """Raise CharRNNError if nobody can listen on a port: JAX would crash."""
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
    """Return which process this is, by what was given or, if nothing was, by what SLURM's srun says."""
    if count is None and id is None and coordinator is None:
        # Inside a job, but outside srun, there are no tasks.
        tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
        return Processes(tasks, int(os.environ["SLURM_PROCID"])) if tasks > 1 else ALONE
    if count == 1:
        return ALONE
    if count is None or id is None or coordinator is None:
        raise CharRNNError(
            "`processes`, `process_id` and `coordinator` go together.",
            hint="Such as `processes=2` `process_id=0` `coordinator='node1:29400'`, and elsewhere `process_id=1`.",
        )
    if not 0 <= id < count:
        raise CharRNNError(f"`process_id` is {id}; of {count} processes it must be 0 to {count - 1}.")
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise CharRNNError(
            f"`coordinator` is {coordinator!r}; it must be HOST:PORT of process 0.", hint="Such as node1:29400."
        )
    return Processes(count, id, coordinator)


def end_with(last_words: Callable[[], None]) -> None:
    """See to it that this process ends with `last_words` and exit code 1 when JAX aborts it, as another one has ended.

    From now on only Python reaches the terminal: what native code writes is held back, and shown if it aborts for
    any other reason.
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

    # Python's own handlers run when Python next does: an aborted process does not come to that.
    _kept.append(ctypes.CFUNCTYPE(None, ctypes.c_int)(aborted))
    ctypes.CDLL(None).signal(signal.SIGABRT, _kept[-1])


# What native code calls must not be collected.
_kept: list[Any] = []


@contextmanager
def ends_with_others(processes: Processes) -> Iterator[None]:
    """Turn the error of a computation that another process has left into a CharRNNError."""
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
    """Return what there is to say when another process has ended."""
    return CharRNNError(
        "Another process of this run has ended, or cannot be reached: this one ends too"
        + (f" ({why})." if why else "."),
        hint="See what the others say; all can go on together with `resume`.",
    )
