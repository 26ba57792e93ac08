"""The devices that each backend can compute on, and the reason if a GPU is not used."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from charrnn.cores import usable_cores
from charrnn.training.backends.choice import BACKENDS

# A processor that multiplies bfloat16 in hardware has one of these flags.
BF16 = ("avx512_bf16", "amx_bf16", "bf16")
PATIENCE = 120
BROKEN = "(broken)"


def devices() -> dict[str, Any]:
    """Return facts about this machine: cores, processor, bf16, the GPUs that the driver knows, and each backend."""
    gpus, complaint = driver()
    facts: dict[str, Any] = {
        "cores": usable_cores(),
        "processor": processor(),
        "bf16": bf16(),
        "driver": {"gpus": gpus, "complaint": complaint},
        "backends": {},
    }
    for name in BACKENDS:
        found = probe(name)
        facts["backends"][name] = {**found, "why_no_gpu": why_not(name, found, gpus, complaint)}
    return facts


def driver() -> tuple[list[dict[str, Any]], str]:
    """Return the GPUs that NVIDIA's driver knows, and its complaint if there are none."""
    query = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except OSError:
        return [], "there is no NVIDIA driver (nvidia-smi is not found)"
    except subprocess.TimeoutExpired:
        return [], "NVIDIA's driver does not answer"
    if asked.returncode:
        first = (asked.stdout + asked.stderr).strip().partition("\n")[0]
        return [], f"NVIDIA's driver does not work (nvidia-smi: {first})"
    gpus = []
    for line in asked.stdout.splitlines():
        name, total, free = line.rsplit(",", 2)
        # A part of a GPU, or a GPU that shares the host's memory, does not report its memory.
        total, free = (int(text) if text.strip().isdecimal() else 0 for text in (total, free))  # type: ignore[assignment]
        gpus.append({"name": name.strip(), "total_mib": total, "free_mib": free})
    return gpus, "" if gpus else "NVIDIA's driver sees no GPU"


def probe(backend: str) -> dict[str, Any]:
    """Return a backend's version ("" if it is not installed), whether it is built for CUDA, its GPUs, its messages."""
    nothing: dict[str, Any] = {"version": "", "cuda": False, "gpus": [], "talk": ""}
    if importlib.util.find_spec(backend) is None:
        return nothing
    # While another training runs, there may be little memory.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, "-c", BACKENDS[backend].probe]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return {**nothing, "version": BROKEN, "talk": f"it does not answer within {PATIENCE} seconds"}
    talk = asked.stderr.strip()
    if asked.returncode:
        return {**nothing, "version": BROKEN, "talk": talk}
    return {**json.loads(asked.stdout.splitlines()[-1]), "talk": talk}


def why_not(backend: str, found: dict[str, Any], gpus: list[dict[str, Any]], complaint: str) -> str:
    """Return why a backend does not use a GPU, and what to do about it; "" if it uses one."""
    known = BACKENDS[backend]
    last = found["talk"].rpartition("\n")[2]
    if found["gpus"]:
        return ""
    if not found["version"]:
        return f"Install it: {known.install_for_gpu if gpus else f'pip install {backend}'}"
    if found["version"] == BROKEN:
        return f"It cannot be imported: {last}"
    if not gpus:
        return f"No GPU: {complaint}."
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"No GPU: CUDA_VISIBLE_DEVICES is {hidden!r}, which hides all GPUs. Unset it."
    if not found["cuda"] or not known.tells_why_no_gpu:
        missing = "its CUDA libraries are missing" if found["cuda"] else "it is built without CUDA"
        return f"No GPU: {missing}. {known.install_for_gpu}"
    return f"No GPU, though it is built for CUDA: {last or 'it does not say why'}"


def processor() -> str:
    """Return the processor's name, as the system reports it."""
    info = Path("/proc/cpuinfo")
    found = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return found[0].partition(":")[2].strip() if found else platform.processor() or platform.machine()


def bf16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware, as the system reports it."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    return any(flag in flags for flag in BF16)
