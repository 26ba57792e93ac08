"""Devices and processes from the command line: what is refused, what is agreed on."""

import os
import socket
import subprocess
import sys

import pytest

from charrnn.api.hardware import Place
from charrnn.errors import CharRNNError
from charrnn.training.backends.jax.distributed import ABORTING, ALONE, Processes, among, ends_with_others
from support.commands import charrnn_in
from support.team import Team

SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_PROCID")
HERE = ("--coordinator", "localhost:29400")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)


def test_which_process_this_is(monkeypatch):
    assert among(None, None, None) == ALONE == among(1, None, None)
    assert among(4, 3, "node1:29400") == Processes(4, 3, "node1:29400")
    # A task of srun; a job's script outside srun has other variables, and is no task.
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_PROCID", "5")
    assert among(None, None, None) == ALONE
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    assert among(None, None, None) == Processes(8, 5, None)
    assert among(2, 0, "a:1") == Processes(2, 0, "a:1")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert among(None, None, None) == ALONE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((2, None, None), "must be given together"),
        ((None, 0, "a:1"), "must be given together"),
        ((2, 2, "a:1"), "must be 0 to 1"),
        ((2, -1, "a:1"), "must be 0 to 1"),
        *(((2, 0, where), "HOST:PORT") for where in ("node1", "node1:", ":29400", "node1:x", "node1:70000", "a:0")),
    ],
)
def test_what_cannot_be_meant(given, message):
    with pytest.raises(CharRNNError, match=message):
        among(*given)


def test_alone_nobody_is_asked():
    assert ALONE.is_first and ALONE.all([3]) == [[3]] and ALONE.first("x") == "x"
    assert ALONE.any(True, False) == [True, False]
    ALONE.check_alike({"text": "abcdef0"})
    ALONE.leave()


def test_errors_that_mean_that_another_has_gone(monkeypatch):
    monkeypatch.setattr("atexit.register", lambda *arguments: None)
    several = Processes(2, 0, "a:1")

    def fail(processes, error):
        with ends_with_others(processes):
            raise error

    gone = ValueError("UNKNOWN: Gloo all-reduce failed: Connection closed by peer\nmore")
    with pytest.raises(CharRNNError, match=r"this one ends too \(UNKNOWN: Gloo all-reduce failed: .* by peer\)"):
        fail(several, gone)
    own = CharRNNError("Gloo all-reduce failed")
    for processes, error in (
        (ALONE, gone),
        (several, RuntimeError("RESOURCE_EXHAUSTED: Out of memory")),
        (several, own),
    ):
        with pytest.raises(type(error)) as raised:
            fail(processes, error)
        assert raised.value is error


ABORT = """
import os, sys
from charrnn.training.backends.jax.distributed import ABORTING, end_with
end_with(lambda: print("last words", file=sys.stderr))
os.write(1, b"[Gloo] Rank 0 is connected to 1 peer ranks.\\n")
os.write(2, {talk!r}.encode())
print("still heard", file=sys.stderr)
os.abort()
"""


@pytest.mark.parametrize(
    ("talk", "code", "said"),
    [
        (f"F1126 client.h:80] Terminating process because the {ABORTING}.\n", 1, "still heard\nlast words\n"),
        ("F1 Check failed: x\n", 134, "still heard\n[Gloo] Rank 0 is connected to 1 peer ranks.\nF1 Check failed: x\n"),
    ],
)
def test_an_abort_ends_with_a_reason(talk, code, said):
    ended = subprocess.run([sys.executable, "-c", ABORT.format(talk=talk)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)


@pytest.mark.trains
@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("tensorflow", ("--processes", 2, "--process-id", 0, *HERE), "Only JAX can train in 2 processes"),
        (
            "jax",
            ("--processes", 2, "--process-id", 0, *HERE, "--batch", 5, "--seq", 8),
            "cannot be divided evenly among 2 processes",
        ),
        ("jax", ("--processes", 2), "Example: --processes 2 --process-id 0 --coordinator node1:29400"),
        ("jax", ("--processes", 0), "--processes"),
        ("tensorflow", ("--device", "tpu"), "--device is 'tpu'; it must be auto, cpu, gpu"),
        ("tensorflow", ("--device", "gpu:x"), "--device is 'gpu:x'"),
        ("tensorflow", ("--device", "gpu:63"), "TensorFlow finds no such GPU here.\n  To see why: charrnn devices"),
        ("jax", ("--device", "gpu:63"), "JAX finds no such GPU here.\n  To see why: charrnn devices"),
        ("tensorflow", ("--precision", "fp8"), "--precision is 'fp8'; it must be one of float32, bf16"),
    ],
)
def test_what_is_refused(backend, options, message, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    (tmp_path / "text.txt").write_text("She sells sea shells.\n" * 20)
    refused = charrnn_in(tmp_path, "train", "text.txt", "--steps", 2, *options)
    assert refused.returncode in (1, 2) and message in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr and not list(tmp_path.glob("checkpoints/*"))


def test_stdin_cannot_be_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    refused = charrnn_in(tmp_path, "train", "-", "--processes", 2, "--process-id", 0, *HERE, stdin=b"abc" * 1000)
    assert refused.returncode == 1 and "Several processes cannot all read stdin" in refused.stderr
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CharRNNError, match=r"Several processes cannot all read .*/pipe, which can be read only once"):
        Place(None, "cpu", Processes(2, 0, HERE[1])).check_texts(["a.txt", str(tmp_path / "pipe")])


@pytest.mark.trains
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_a_port_that_is_taken(address, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (tmp_path / "text.txt").write_text("She sells sea shells on the shore.\n" * 30)
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        several = ("--processes", 2, "--process-id", 0, "--coordinator", f"localhost:{port}")
        refused = charrnn_in(tmp_path, "train", "text.txt", "--units", 4, "--batch", 8, "--seq", 8, *several)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert f"Process 0 cannot listen on port {port} of --coordinator: Address already in use" in refused.stderr
    assert not list(tmp_path.glob("checkpoints/*"))


@pytest.mark.trains
def test_processes_that_do_not_fit_together_say_so(tmp_path):
    for name, word in (("one.txt", "sea"), ("other.txt", "tea")):
        (tmp_path / name).write_text(f"She sells {word} shells on the shore.\n" * 30)
    texts = {0: [tmp_path / "one.txt"], 1: [tmp_path / "other.txt"]}
    with Team(tmp_path / "runs", "--units", 4, "--batch", 8, "--seq", 8, "--steps", 3, texts=texts) as team:
        ends = team.ended()
    assert [code for code, _ in ends] == [1, 1], ends
    for _, talk in ends:
        assert "Process 1 has another text than process 0." in talk and "Traceback" not in talk
    # The second says nothing else.
    assert ends[1][1].startswith("charrnn: Process 1 has another text")
    assert not os.listdir(tmp_path / "runs")
