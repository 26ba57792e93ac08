"""Several real `charrnn train` processes that train one run on this machine."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from charrnn.runs.folder import Run
from support.compilation import READ_ONLY

LIMIT = 600.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Team:
    """The processes of one command, in their order; a context manager that leaves none behind."""

    def __init__(
        self,
        folder: Path,
        *words: object,
        count: int = 2,
        one_core: bool = False,
        texts: dict | None = None,
        keep_compiled: bool = False,
    ):
        """Start `charrnn train --checkpoints folder WORDS` `count` times; `texts` are other words' ends, by process.

        What is compiled is kept only if nobody kills them (support/compilation.py); JAX lets but the first keep it.
        """
        port = free_port()
        self.processes = []
        for number in range(count):
            several = ["--processes", count, "--process-id", number, "--coordinator", f"127.0.0.1:{port}"]
            command = [
                *words,
                "--checkpoints",
                folder,
                *((texts or {}).get(number, [])),
                *(several if count > 1 else []),
            ]
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "charrnn", "train", *map(str, command)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**os.environ, **({} if keep_compiled else READ_ONLY), "KERAS_BACKEND": "jax"},
                    preexec_fn=(lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if one_core else None,
                )
            )

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes:
            with contextlib.suppress(OSError):
                process.kill()
            process.communicate()

    def ended(self, within: float = LIMIT) -> list[tuple[int, str]]:
        """Wait for all to end; return the exit code and the talk of each. One that does not end is an error."""
        deadline = time.monotonic() + within
        found = []
        for process in self.processes:
            stdout, stderr = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
            assert not stdout, "training has no data to put out"
            found.append((process.returncode, stderr))
        return found

    def succeed(self) -> None:
        for code, talk in self.ended():
            assert code == 0, talk

    def wait_for(self, happened, every: float = 0.0005) -> bool:
        """Wait, busily, until something has happened; return whether it did while all were running."""
        deadline = time.monotonic() + LIMIT
        while all(process.poll() is None for process in self.processes) and time.monotonic() < deadline:
            if happened():
                return True
            time.sleep(every)
        return False


def newest(run: Run) -> str | None:
    path = run.newest()
    return path and path.name
