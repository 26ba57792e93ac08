"""What a benchmark ran on, as lines for above its table."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu() -> str:
    """Return the processor's model name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe(*packages: str, others: dict[str, str] | None = None) -> str:
    """Return the machine and the versions of the packages, with those that are installed elsewhere."""
    versions = {"Python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    versions |= others or {}
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"Machine: {cores()} cores, {cpu()}, {platform.system()}.\nVersions: {named}."
