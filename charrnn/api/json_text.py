"""Answers as JSON, which has no number that is not finite: null stands for one."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

# Halves of characters, which no encoding has, and what a terminal would obey: C1 controls, changes of direction.
_ESCAPED = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# What Python reads and JSON has not; in a text it is text.
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def json_text(value: Any, ascii_only: bool = True, indent: int | None = None) -> str:
    """Return a value as JSON with a line end: in one line, or in several with an `indent`."""
    return _escaped(json.dumps(finite(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False)) + "\n"


def json_line(members: Iterable[tuple[str, str]]) -> str:
    """Return a line that is an object of JSON, of the names of its members and their values as they are `written`."""
    return _escaped(
        "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {value}" for name, value in members) + "}\n"
    )


def written(value: Any) -> str:
    """Return a value as it is written in JSON."""
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)


def without_constants(value: str) -> tuple[str, list[str]]:
    """Return a value as it is written in JSON, null for what only Python writes, NaN and Infinity; and which it had."""
    constants = [found[0] for found in _CONSTANT.finditer(value) if found[0][0] != '"']
    if not constants:
        return value, constants
    return _CONSTANT.sub(lambda found: found[0] if found[0][0] == '"' else "null", value), constants


def _escaped(text: str) -> str:
    return text if text.isascii() and "\x7f" not in text else _ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


def finite(value: Any) -> Any:
    """Return what JSON can hold: None for each number that is not finite, at any depth."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
