"""Thresholds for unusual lines, as a table, as records of JSON, and as a sentence."""

from collections.abc import Sequence

from charrnn.api.calibration import Threshold
from charrnn.api.json_text import json_text
from charrnn.cli.console import say, write_data
from charrnn.cli.views.table import aligned

# False alarms are given per this many lines if the number of lines per day is not known.
_PER = 100_000


def print_thresholds(found: Sequence[Threshold], by: str, per_day: int | None, run: str, json: bool) -> None:
    """Print thresholds for lines that are ranked `by` one of their scores, with the expected false alarms."""
    if json:
        for one in found:
            alarms = {} if per_day is None else {"false_alarms_per_day": one.share * per_day}
            facts = {"quantile": one.quantile, "by": by, "threshold": one.bits, "share": one.share, "lines": one.lines}
            write_data(json_text({**facts, **alarms, "run": run}, ascii_only=False))
        return
    rows = [["QUANTILE", "THRESHOLD", "LINES AT OR ABOVE", f"FALSE ALARMS {_period(per_day).upper()}"]]
    rows += [
        [_percent(one.quantile), f"{one.bits:.4f}", f"{one.share * 100:.3g} %", _alarms(one, per_day)] for one in found
    ]
    write_data(aligned(rows, ">>>>"))


def tell(threshold: Threshold, by: str, per_day: int | None) -> None:
    """Print the threshold of a quantile, and the expected false alarms."""
    say(
        f"The threshold is {threshold.bits:.4f} bits (--by {by}), the {_percent(threshold.quantile)} quantile of "
        f"{threshold.lines:,} ordinary lines: about {_alarms(threshold, per_day)} false alarms {_period(per_day)}."
    )


def _alarms(threshold: Threshold, per_day: int | None) -> str:
    alarms = threshold.share * (per_day or _PER)
    return f"{alarms:,.0f}" if alarms >= 10 else f"{alarms:.2g}"


def _period(per_day: int | None) -> str:
    return f"per {_PER:,} lines" if per_day is None else "a day"


def _percent(quantile: float) -> str:
    return f"{quantile * 100:.10g} %"
