"""Many runs that the command line trains, one after the other: shown, interrupted by signals, and their result."""

import signal
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.api.json_text import json_text
from charrnn.cli.comparing import check_unchanged
from charrnn.cli.console import printable, say, with_cells, write_data
from charrnn.cli.signals import Signals
from charrnn.cli.views.wrapping import tell
from charrnn.errors import CharRNNError
from charrnn.runs.folder import Run, shell_name

if TYPE_CHECKING:
    from charrnn.api.comparing import Comparing
    from charrnn.api.comparison import Comparison


def compared(given: dict[str, Any], others: Collection[str], quiet: bool, asked: Signals) -> "Comparison":
    """Train the runs of a comparison, show them, and react to signals; return the result.

    others: the names of the options that were typed.
    """
    from charrnn.api.comparing import compare_events
    from charrnn.cli.views.reading import Reading
    from charrnn.cli.views.trials import TrialsView

    if given["resume"] is not None:
        if given["corpus"]:
            raise CharRNNError("--resume names the comparison; no text can be given.", "Leave out the text.")
        check_unchanged(others, "with --resume")
        given = {"resume": given["resume"], "out": given["out"]}
    comparing = compare_events(**given, watch=(reading := Reading(quiet)).show)
    comparing.undisturbed = asked.held_back
    asked.training, asked.last_words = comparing, lambda: last_words(comparing)
    with reading, comparing, TrialsView(comparing, quiet) as view:
        for event in comparing:
            view.show(event)
    if comparing.is_stopped:
        assert comparing.path is not None
        tell(f"Stopped; the current run is saved. {go_on(comparing.path)}")
        raise SystemExit(128 + (asked.received or signal.SIGINT))
    return comparing.result()


def shown_again(path: Path, others: Collection[str]) -> "Comparison":
    """Return the result of an older comparison."""
    from charrnn.api.comparison import load_comparison

    check_unchanged(others, "on an older comparison")
    return load_comparison(path)


def write(result: "Comparison", plot: Path | None, html: Path | None, as_json: bool) -> None:
    """Write the result to stdout, and to the files that were asked for."""
    from charrnn.cli.views.ranking import shown
    from charrnn.cli.views.ranking_page import RankingPage
    from charrnn.cli.views.ranking_plot import write_ranking

    if plot is not None:
        write_ranking(plot, result)
        say(f"Wrote {printable(str(plot))}.")
    if html is not None:
        with RankingPage(html) as page:
            page.write(result)
    write_data(json_text(result.to_json(), indent=2) if as_json else shown(result))


def leave(result: "Comparison", quiet: bool) -> None:
    """Print which command comes next; exit with 1 if no run has a result."""
    if not result.is_complete:
        tell(f"Some runs are not trained yet. {go_on(result.path)}")
    elif result.best is None:
        raise SystemExit(1)
    elif not quiet:
        best = next(run for run in result.best.runs if run.failure is None and run.steps is not None)
        name = f"{shell_name(Run(result.path / best.name))}{with_cells()}"
        use = f"label {name} LINES" if result.unit == "label" else f"sample {name} --temp 0.8"
        tell(f"{'Label lines with' if result.unit == 'label' else 'Sample from'} the best candidate: charrnn {use}")


def last_words(comparing: "Comparing") -> str:
    """Return the last message of a process that a signal ends immediately."""
    if comparing.path is None or comparing.record is None:
        return "Interrupted before the first run: nothing was written."
    return f"Interrupted. {go_on(comparing.path)}"


def go_on(path: Path) -> str:
    """Return the message that a comparison can be resumed."""
    return f"Continue with: charrnn compare --resume {shell_name(Run(path))}{with_cells()}"
