"""`charrnn devices`: what each backend can compute on, and why not on a GPU."""

import json
import platform
from pathlib import Path
from typing import Any

from charrnn.cli import options as o
from charrnn.cli.console import say, write_data
from charrnn.json_text import json_text

# Run in a process of its own for each backend; prints JSON. What native code says meanwhile goes to stderr.
PROBES = {
    "tensorflow": """
import json, tensorflow as tf
built = tf.sysconfig.get_build_info()
gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")]
print(json.dumps({"version": tf.__version__, "cuda": bool(built.get("is_cuda_build")), "gpus": gpus}))
""",
    "jax": """
import json, jax
from importlib.util import find_spec
try:
    gpus = [gpu.device_kind for gpu in jax.devices("gpu")]
except RuntimeError:
    gpus = []
cuda = any(find_spec(f"jax_cuda{n}_plugin") for n in (12, 13, 14))
print(json.dumps({"version": jax.__version__, "cuda": cuda, "gpus": gpus}))
""",
}
INSTALL = {"tensorflow": "pip install 'charrnn[cuda]'", "jax": "pip install 'charrnn[jax-cuda]'"}
# Processors that multiply bfloat16 in hardware say so by one of these.
BF16 = ("avx512_bf16", "amx_bf16", "bf16")
SCARCE = 0.1
PATIENCE = 120
BROKEN = "(broken)"


def devices(as_json: o.AsJson = False) -> None:
    """Show on what each backend can train, and why a GPU is not used.

    Choose with `charrnn train --device`, and the backend with KERAS_BACKEND.
    """
    from charrnn.cores import usable_cores
    from charrnn.training.backends.start import NAMES

    say("Asking each backend …")
    gpus, complaint = driver()
    facts: dict[str, Any] = {
        "cores": usable_cores(),
        "processor": processor(),
        "bf16": bf16(),
        "driver": {"gpus": gpus, "complaint": complaint},
        "backends": {},
    }
    for name in NAMES:
        found = probe(name)
        facts["backends"][name] = {**found, "why_no_gpu": why_not(name, found, gpus, complaint)}
    write_data(json_text(facts) if as_json else "".join(line + "\n" for line in lines(facts, NAMES)))


def lines(facts: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Return what there is to say to a person."""
    quick = "in hardware: --precision bf16 pays" if facts["bf16"] else "not in hardware: --precision bf16 does not pay"
    told = [
        f"Processor     {facts['processor']}, {facts['cores']} cores; bfloat16 products {quick}.",
        *(f"GPU {place:<9} {_gpu(gpu)}" for place, gpu in enumerate(facts["driver"]["gpus"])),
    ]
    for name, found in facts["backends"].items():
        version = f" {found['version']}" if found["version"] else ""
        told.append(f"{names[name] + version:<20} {'cpu' if found['version'] else 'not installed'}")
        told += [f"{'':<20} gpu:{place}, {gpu}" for place, gpu in enumerate(found["gpus"])]
        told += [f"{'':<20} {found['why_no_gpu']}"] if found["why_no_gpu"] else []
    return told


def _gpu(gpu: dict[str, Any]) -> str:
    if not gpu["total_mib"]:
        return gpu["name"]
    warning = ": another process has the rest" if gpu["free_mib"] < SCARCE * gpu["total_mib"] else ""
    return f"{gpu['name']}, {gpu['free_mib']:,} of {gpu['total_mib']:,} MiB free{warning}"


def driver() -> tuple[list[dict[str, Any]], str]:
    """Return the GPUs that NVIDIA's driver knows, and its complaint if there are none."""
    import subprocess

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
        # A part of a GPU, or one that shares the host's memory, does not tell how much it has.
        total, free = (int(text) if text.strip().isdecimal() else 0 for text in (total, free))  # type: ignore[assignment]
        gpus.append({"name": name.strip(), "total_mib": total, "free_mib": free})
    return gpus, "" if gpus else "NVIDIA's driver sees no GPU"


def probe(backend: str) -> dict[str, Any]:
    """Return the version of a backend ("" if it is not installed), whether it is built for CUDA, its GPUs, its talk."""
    import importlib.util
    import os
    import subprocess
    import sys

    nothing: dict[str, Any] = {"version": "", "cuda": False, "gpus": [], "talk": ""}
    if importlib.util.find_spec(backend) is None:
        return nothing
    # Beside a running training there may be little memory.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, "-c", PROBES[backend]]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return {**nothing, "version": BROKEN, "talk": f"it does not answer within {PATIENCE} seconds"}
    talk = asked.stderr.strip()
    if asked.returncode:
        return {**nothing, "version": BROKEN, "talk": talk}
    return {**json.loads(asked.stdout.splitlines()[-1]), "talk": talk}


def why_not(backend: str, found: dict[str, Any], gpus: list[dict[str, Any]], complaint: str) -> str:
    """Return why a backend does not use a GPU, and what to do about it; nothing if it does."""
    import os

    last = found["talk"].rpartition("\n")[2]
    if found["gpus"]:
        return ""
    if not found["version"]:
        return f"Install it: {INSTALL[backend] if gpus else f'pip install {backend}'}"
    if found["version"] == BROKEN:
        return f"It cannot be imported: {last}"
    if not gpus:
        return f"No GPU: {complaint}."
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return f"No GPU: CUDA_VISIBLE_DEVICES is {hidden!r}, which hides them all. Unset it."
    if not found["cuda"] or backend == "tensorflow":
        missing = "its CUDA libraries are missing" if found["cuda"] else "it is built without CUDA"
        return f"No GPU: {missing}. {INSTALL[backend]}"
    return f"No GPU, though it is built for CUDA: {last or 'it does not say why'}"


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    found = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return found[0].partition(":")[2].strip() if found else platform.processor() or platform.machine()


def bf16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    return any(flag in flags for flag in BF16)
