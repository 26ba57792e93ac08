"""Where charrnn's caches are on disk."""

import os
from pathlib import Path


def folder() -> Path:
    """Return the folder of the caches: the environment's CHARRNN_CACHE, or charrnn in the user's folder of caches."""
    given = os.environ.get("CHARRNN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or Path(base, "charrnn")).expanduser()
