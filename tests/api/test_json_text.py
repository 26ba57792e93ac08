"""JSON without numbers that it does not have."""

import json
import math

import pytest

from charrnn.api.json_text import finite, json_text


def test_what_is_not_finite_is_null_at_any_depth():
    value = {"a": [1.5, math.nan, (math.inf, 2)], "b": {"c": -math.inf, "d": "NaN"}, "e": None, "f": True}
    expected = {"a": [1.5, None, [None, 2]], "b": {"c": None, "d": "NaN"}, "e": None, "f": True}
    assert finite(value) == expected
    for text in (json_text(value), json_text(value, indent=2)):
        assert json.loads(text, parse_constant=pytest.fail) == expected and text.endswith("}\n")


def test_characters_are_escaped_unless_they_may_stay():
    assert json_text(["é\n"]) == '["\\u00e9\\n"]\n'
    assert json_text(["é\n"], ascii_only=False) == '["é\\n"]\n'


def test_what_no_encoding_has_and_what_a_terminal_would_obey_are_escapes():
    value = {"\ud800": "\x1b\x7f\x9b\u202e\u2069é☞"}
    text = json_text(value, ascii_only=False)
    assert text == '{"\\ud800": "\\u001b\\u007f\\u009b\\u202e\\u2069é☞"}\n'
    assert json.loads(text.encode()) == value == json.loads(json_text(value))
    assert json_text("\x7f", ascii_only=True) == '"\\u007f"\n'
