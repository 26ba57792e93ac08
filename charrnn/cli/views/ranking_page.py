"""The result of a comparison as a web page: the ranking, its remarks, and charts of the losses; it has no script."""

from html import escape
from typing import TYPE_CHECKING, TextIO

from charrnn.cli.console import printable
from charrnn.cli.views.beginning import counted
from charrnn.cli.views.page_file import HEAD, PageFile
from charrnn.cli.views.ranking import charts, figures, heads, remarks
from charrnn.cli.views.svg_chart import STYLE, line_chart

if TYPE_CHECKING:
    from charrnn.api.comparison import Comparison

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;"
    "padding:0 1em}\n.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.3em .7em;text-align:right;border-bottom:1px solid #8886}\n"
    "th{font-size:.8em;text-align:right}th:nth-child(2),td:nth-child(2){text-align:left}\n" + STYLE
)


class RankingPage(PageFile):
    """The page of a comparison; nothing is written before `write`."""

    what = "page of the comparison"

    def begin(self, file: TextIO) -> TextIO:
        return file

    def finish(self) -> None:
        """A page may end anywhere."""

    def write(self, comparison: "Comparison") -> None:
        """Write the page."""
        title = _text(f"Comparison {comparison.name}")
        (name, value), *_ = comparison.budget.items()
        budget = counted(value, name.removesuffix("s"))
        seeds = ", ".join(map(str, comparison.seeds))
        self.page.write(
            f"{HEAD}<title>{title}</title>\n<style>\n{_STYLE}</style>\n<h1>{title}</h1>\n"
            f"<p>Text: {_text(', '.join(comparison.text))}. Each run had {budget}. Seeds: {seeds}. "
            f"{_measured(comparison)}\n<div class=wide tabindex=0 role=region aria-label=Ranking><table>\n"
            f"{_row('th scope=col', heads(comparison))}"
            + "".join(_row("td", figures(comparison, row)) for row in comparison.rows)
            + "</table></div>\n"
            + "".join(f"<p>{_text(remark)}\n" for remark in remarks(comparison))
            + "".join(
                line_chart(curves, x_label, f"bits per {comparison.unit}, validation", f"Loss against {x_label}")
                for x_label, curves in charts(comparison)
            )
        )


def _measured(comparison: "Comparison") -> str:
    what = "the fraction of labels that are right" if comparison.unit == "label" else "the loss"
    return f"Ranked is {what} of the best checkpoint on the validation text; ± is the standard deviation over seeds."


def _row(element: str, cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{element}>{_text(cell)}" for cell in cells) + "\n"


def _text(text: str) -> str:
    return escape(printable(text))
