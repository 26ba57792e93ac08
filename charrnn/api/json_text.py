"""Results as JSON, which has no NaN and no infinity: they are written as null."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

# Lone surrogates, which no encoding has, and characters that a terminal would obey: C1 controls, changes of direction.
_ESCAPED = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Numbers that Python reads but JSON does not have. Within a string they are only text.
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def json_text(value: Any, ascii_only: bool = True, indent: int | None = None) -> str:
    """Return a value as JSON with a line end: on one line or, with an `indent`, on several."""
    return _escaped(json.dumps(finite(value), ensure_ascii=ascii_only, indent=indent, allow_nan=False)) + "\n"


def json_line(members: Iterable[tuple[str, str]]) -> str:
    """Return a line with a JSON object, from the names of its members and their values as JSON (`written`)."""
    return _escaped(
        "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {value}" for name, value in members) + "}\n"
    )


def written(value: Any) -> str:
    """Return a value as JSON, without a line end."""
    return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)


def without_constants(value: str) -> tuple[str, list[str]]:
    """Return JSON with null in place of NaN and Infinity, which only Python writes; and those that were replaced."""
    constants = [found[0] for found in _CONSTANT.finditer(value) if found[0][0] != '"']
    if not constants:
        return value, constants
    return _CONSTANT.sub(lambda found: found[0] if found[0][0] == '"' else "null", value), constants


def _escaped(text: str) -> str:
    return text if text.isascii() and "\x7f" not in text else _ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", text)


def finite(value: Any) -> Any:
    """Return a value that JSON can hold: None in place of each number that is not finite, at any depth."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
