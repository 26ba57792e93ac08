"""The settings of a search for good settings: what is searched, where, and for how long."""

from dataclasses import dataclass

# The time of a search without `minutes` and `trials`.
SEARCH_MINUTES = 60.0
# A trial has this fraction of the time of the search, unless another length is given.
TRIALS_PER_SEARCH = 10
# Where a trial may be ended early: at these fractions of its length, in percent.
RUNGS = (12, 25, 50)


@dataclass(frozen=True)
class Range:
    """The values of a setting among which a search chooses: from `low` to `high`.

    With `values`, only these. `log`: equal ratios count as equal distances. digits: how many decimals a value has, or
    with `log`, how many significant digits: what is shown is exactly what is used.
    """

    low: float
    high: float
    log: bool = False
    values: tuple[int, ...] = ()
    digits: int = 2


def _of(*values: int, log: bool = True) -> Range:
    return Range(values[0], values[-1], log, values)


# The learning rate: as multiples of the optimizer's default (of Adam: 0.0005 to 0.02).
RATES = Range(0.1, 4.0, log=True, digits=3)
RANGES = {
    "dropout": Range(0.0, 0.6),
    "units": _of(64, 96, 128, 192, 256, 384, 512),
    "layers": _of(1, 2, 3, log=False),
    "batch": _of(16, 32, 64, 128),
    "seq": _of(32, 64, 128, 256),
}
SEARCHED = ("lr", *RANGES)
