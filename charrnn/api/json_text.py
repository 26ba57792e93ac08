"""Answers as JSON, which has no number that is not finite: null stands for one."""

import json
import math
from typing import Any


def json_text(value: Any, ascii_only: bool = True, indent: int | None = None) -> str:
    """Return a value as JSON with a line end: in one line, or in several with an `indent`."""
    return json.dumps(finite(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """Return what JSON can hold: None for each number that is not finite, at any depth."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
