"""Which means differ by more than chance: against tables of Student's t, and an example worked by hand."""

import math

import pytest

from charrnn.api.ties import pooled, spread, t_quantile, ties, within

# The 0.975 quantiles of Student's t, as statistical tables print them, and two of another confidence.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 10: 2.228, 11: 2.201, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize("degrees, wanted", TABLE.items())
def test_the_quantiles_are_those_of_the_tables(degrees, wanted):
    assert t_quantile(0.95, degrees) == pytest.approx(wanted, abs=6e-4)
    assert within(t_quantile(0.95, degrees), degrees) == pytest.approx(0.95, abs=1e-12)


def test_other_confidences_and_the_normal_distribution_as_the_limit():
    assert t_quantile(0.99, 7) == pytest.approx(3.499, abs=6e-4)
    assert t_quantile(0.9, 8) == pytest.approx(1.860, abs=6e-4)
    assert t_quantile(0.95, 100_000) == pytest.approx(1.95996, abs=1e-4)


def test_the_spread_of_groups_is_taken_together():
    # (1 + 1) from the first group and (4 + 4) from the second, over 1 + 1 degrees of freedom.
    assert pooled([[1, 3], [10, 14], [7]]) == (math.sqrt(10 / 2), 2)
    assert spread([1, 2, 6]) == pytest.approx(math.sqrt(7)) and spread([1]) is None
    assert pooled([[1], [2]]) == (None, 0) and ties([[1], [2]]) is None


def test_means_tie_up_to_the_least_significant_difference():
    # s = 1, two degrees of freedom: means of two runs tie up to 4.3027 * sqrt(1/2 + 1/2), 4.3027.
    low, high = 4.30, 4.31
    one = [-math.sqrt(0.5), math.sqrt(0.5)]
    assert ties([one, [value + low for value in one]]) == [[True, True], [True, True]]
    assert ties([one, [value + high for value in one]]) == [[True, False], [False, True]]
    # A mean of one run is less certain: 4.3027 * sqrt(1/2 + 1) = 5.27.
    assert ties([one, [5.2], [value - 20 for value in one]])[0] == [True, True, False]
    assert ties([one, [5.3], [value - 20 for value in one]])[0] == [True, False, False]


def test_equal_runs_tie_and_others_do_not():
    assert ties([[2.0, 2.0], [2.0, 2.0], [2.1, 2.1]]) == [
        [True, True, False],
        [True, True, False],
        [False, False, True],
    ]
