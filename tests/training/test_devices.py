"""`charrnn devices`: what it makes of what drivers and backends say."""

import json

import pytest

from charrnn.api.devices import driver, why_not
from charrnn.cli.commands.devices import lines
from support.commands import charrnn_in

GPU = {"name": "NVIDIA H100 80GB HBM3", "total_mib": 81559, "free_mib": 81000}
FOUND = {"version": "1.2", "cuda": True, "gpus": [], "talk": ""}


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a stand-in for the driver's tool on the path."""

    def make(script):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return make


def test_the_driver(nvidia_smi, monkeypatch, tmp_path):
    nvidia_smi("echo 'NVIDIA H100 80GB HBM3, 81559, 81000'; echo 'A, B, [N/A], 12'")
    assert driver() == ([GPU, {"name": "A, B", "total_mib": 0, "free_mib": 12}], "")
    nvidia_smi("echo 'NVIDIA-SMI has failed because it could not talk to the driver.'; echo more; exit 9")
    assert driver() == (
        [],
        "NVIDIA's driver does not work (nvidia-smi: NVIDIA-SMI has failed because it could not talk to the driver.)",
    )
    nvidia_smi("true")
    assert driver() == ([], "NVIDIA's driver sees no GPU")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert driver() == ([], "there is no NVIDIA driver (nvidia-smi is not found)")


@pytest.mark.parametrize(
    ("backend", "found", "gpus", "reason"),
    [
        ("jax", {"gpus": ["H100"]}, [GPU], ""),
        ("jax", {"version": ""}, [GPU], "Install it: pip install 'charrnn[jax-cuda]'"),
        ("jax", {"version": ""}, [], "Install it: pip install jax"),
        ("jax", {}, [], "No GPU: no driver."),
        ("jax", {"cuda": False}, [GPU], "No GPU: it is built without CUDA. pip install 'charrnn[jax-cuda]'"),
        ("jax", {"talk": "first\nCUDA error 803"}, [GPU], "No GPU, though it is built for CUDA: CUDA error 803"),
        ("tensorflow", {}, [GPU], "No GPU: its CUDA libraries are missing. pip install 'charrnn[cuda]'"),
        ("tensorflow", {"cuda": False}, [GPU], "No GPU: it is built without CUDA. pip install 'charrnn[cuda]'"),
        ("jax", {"version": "(broken)", "talk": "a\nImportError: b"}, [GPU], "It cannot be imported: ImportError: b"),
    ],
)  # fmt: skip
def test_why_no_gpu_is_used(backend, found, gpus, reason, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert why_not(backend, {**FOUND, **found}, gpus, "no driver") == reason


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus(hidden, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert f"CUDA_VISIBLE_DEVICES is {hidden!r}, which hides all GPUs" in why_not("jax", FOUND, [GPU], "")
    for number in ("0", "1", "11"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", number)
        assert "hides" not in why_not("jax", FOUND, [GPU], "")


def test_what_a_person_reads():
    facts = {
        "processor": "A processor", "cores": 2, "bf16": True,
        "driver": {"gpus": [{**GPU, "free_mib": 300}], "complaint": ""},
        "backends": {
            "jax": {**FOUND, "gpus": ["H100"], "why_no_gpu": ""},
            "tensorflow": {**FOUND, "why_no_gpu": "No."},
        },
    }  # fmt: skip
    assert lines(facts, {"jax": "JAX", "tensorflow": "TensorFlow"}) == [
        "Processor            A processor, 2 cores; bfloat16 products in hardware: --precision bf16 is faster.",
        "GPU 0                NVIDIA H100 80GB HBM3, 300 of 81,559 MiB free: another process uses the rest",
        "JAX 1.2              cpu",
        "                     gpu:0, H100",
        "TensorFlow 1.2       cpu",
        "                     No.",
    ]


@pytest.mark.trains
def test_the_command(tmp_path):
    asked = charrnn_in(tmp_path, "devices", "--json")
    assert asked.returncode == 0, asked.stderr
    facts = json.loads(asked.stdout)
    assert facts["cores"] >= 1 and set(facts["backends"]) == {"tensorflow", "jax"}
    for found in facts["backends"].values():
        assert found["version"] and bool(found["gpus"]) != bool(found["why_no_gpu"])
