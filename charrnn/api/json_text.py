"""Answers as JSON, which has no number that is not finite: null stands for one."""

import json
import math
import re
from typing import Any

# Halves of characters, which no encoding has, and what a terminal would obey: C1 controls, changes of direction.
_ESCAPED = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def json_text(value: Any, ascii_only: bool = True, indent: int | None = None) -> str:
    """Return a value as JSON with a line end: in one line, or in several with an `indent`."""
    text = json.dumps(finite(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False) + "\n"
    return text if text.isascii() and "\x7f" not in text else _ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


def finite(value: Any) -> Any:
    """Return what JSON can hold: None for each number that is not finite, at any depth."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
