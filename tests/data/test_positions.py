"""Positions spread over a text, against loops over its characters."""

import numpy as np
import pytest

from charrnn.data import positions
from charrnn.data.parts import Part
from charrnn.data.positions import windows_before
from charrnn.errors import CharRNNError

START, LINE_END = 9, 0
PARTS = {
    "a stream": Part(np.arange(1, 8).repeat(3)),
    "lines": Part(np.array([1, 2, 3, 0, 1, 0, 4, 5, 6, 7, 8, 0, 2, 3]), line_end=LINE_END, resets=True),
    "documents": Part(np.arange(1, 8).repeat(2), starts=np.array([0, 6, 8]), resets=True),
    "what counts": Part(
        np.array([1, 8, 2, 3, 4, 0, 1, 2, 3, 8, 4, 5, 0]), line_end=LINE_END, resets=True, loss_after=8
    ),
}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(positions, "WARM", 4)


def windows_by_hand(part, reach):
    """Return (inputs, target, reset) of every position: lists of what is read there, None before the text."""
    ids, found = part.ids().tolist(), []
    begins = [bool(part.resets and part.begins(np.array([place]))[0]) or place == 0 for place in range(len(ids))]
    for place in range(len(ids)):
        inside = all(not begins[place - back] for back in range(min(reach, place + 1)))
        if place < reach or not inside or not part.counts(np.arange(place + 1))[place]:
            continue
        places = range(place + 1 - 4 - reach, place + 1)
        inputs = [START if one < 0 or begins[one] else ids[one - 1] for one in places]
        found.append((inputs, ids[place], [one >= 0 and begins[one] for one in places]))
    return found


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("reach", [1, 2, 3])
def test_windows_end_at_positions_with_enough_before_them(name, reach):
    part = PARTS[name]
    wanted = windows_by_hand(part, reach)
    assert wanted
    window = windows_before([part], 1000, reach, START)
    inputs, targets, reset = (np.array(one) for one in zip(*wanted, strict=True))
    np.testing.assert_array_equal(window.inputs.T, inputs)
    np.testing.assert_array_equal(window.targets[-1], targets)
    np.testing.assert_array_equal(window.reset.T, reset)
    assert not window.reset[-reach:].any()


def test_positions_are_spread_over_all_parts():
    parts = [Part(np.full(40, 1)), Part(np.full(3, 2)), Part(np.full(60, 3))]
    window = windows_before(parts, 5, 10, START)
    # 30 positions in the first part, none in the second, 50 in the third: places 0, 20, 40, 60 and 79 of 80.
    assert window.targets[-1].tolist() == [1, 1, 3, 3, 3]
    assert window.inputs.shape == (14, 5)
    np.testing.assert_array_equal(window.inputs[:, 0], [START] * 4 + [1] * 10)


def test_a_text_may_be_too_short():
    with pytest.raises(CharRNNError, match=r"`reach` is 21, .* has so many before it: at most 20") as caught:
        windows_before([PARTS["a stream"]], 5, 21, START)
    assert caught.value.hint.startswith("Use `reach=20` or less")
    with pytest.raises(CharRNNError, match="so many in its document before it: at most 5") as caught:
        windows_before([PARTS["lines"]], 5, 6, START)
    assert windows_before([PARTS["lines"]], 5, 5, START).inputs.shape == (9, 1)
    with pytest.raises(CharRNNError) as caught:
        windows_before([Part(np.array([1]))], 5, 1, START)
    assert caught.value.hint == "Use a longer text."


def test_positions_that_do_not_exist_take_no_memory():
    window = windows_before([PARTS["a stream"]], 10**15, 3, START)
    assert window.inputs.shape[1] == 18
