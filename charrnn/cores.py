"""How many processor cores this process may use."""

import os


def usable_cores() -> int:
    """Return the cores that this process may run on, which containers and taskset make fewer than the machine's."""
    # macOS has no such call.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
