"""Promise 11: every command ends quietly when its reader has gone, and in one line when a device is full."""

import os
import subprocess
from pathlib import Path

import pytest

from support.commands import COMMAND, charrnn_in
from support.tally import Tally

DATA = [
    ("--help",),
    ("--version",),
    ("corpus",),
    ("vocab", "text.txt"),
    ("vocab", "text.txt", "--json"),
    ("runs",),
    ("sample", "small", "-n", "5000"),
    ("eval", "small", "text.txt"),
    ("verify", "small"),
    ("verify", "small", "--json"),
    ("bench", "--help"),
    ("train", "--help"),
]
pytestmark = [pytest.mark.promise(11), pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")]


def test_a_reader_that_was_never_there(small: Path, tally: Tally) -> None:
    for arguments in DATA:
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run([COMMAND, *arguments], cwd=small, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        tally.inject()
        tally.check((result.returncode, result.stderr) == (0, b""), f"{arguments}: {result}")


def test_a_reader_that_leaves(small: Path, tally: Tally) -> None:
    for arguments in [*DATA, ("sample", "small", "-n", "1000000000")]:
        command = ["sh", "-c", '"$0" "$@" | head -1 >&2', COMMAND, *arguments]
        result = subprocess.run(command, cwd=small, capture_output=True, timeout=600)
        tally.inject()
        tally.check(result.stdout == b"" and b"Traceback" not in result.stderr, f"{arguments}: {result}")
        tally.check(b"Broken" not in result.stderr, f"{arguments}: {result}")


def test_a_full_device(small: Path, tally: Tally) -> None:
    for arguments in DATA:
        with open("/dev/full", "wb") as full:
            result = subprocess.run([COMMAND, *arguments], cwd=small, stdout=full, stderr=subprocess.PIPE)
        tally.inject()
        one_line = result.stderr.startswith(b"charrnn: ") and result.stderr.count(b"\n") == 1
        tally.check(result.returncode == 1 and one_line, f"{arguments}: {result}")


def test_a_closed_stdout(small: Path, tally: Tally) -> None:
    for arguments in DATA:
        result = charrnn_in(small, "-c", 'exec "$0" "$@" >&-', COMMAND, *arguments, command="sh")
        tally.inject()
        tally.check("Traceback" not in result.stderr, f"{arguments}: {result}")
        tally.check(len(result.stderr.splitlines()) <= 2, f"{arguments}: {result}")
