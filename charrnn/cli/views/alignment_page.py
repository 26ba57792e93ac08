"""The attention of a model as a web page: a table for each line, a row for each character that was predicted."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from charrnn.cli.console import printable
from charrnn.cli.views.alignment import mark
from charrnn.cli.views.page_file import HEAD, PageFile

if TYPE_CHECKING:
    from charrnn.api.alignment import Alignment
    from charrnn.api.model import Model
    from charrnn.inference.lines import Score, Scorer

# A line with more characters has no table: browsers are slow with many cells.
LONGEST = 400
LEVELS = 10
_STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#24242a;--faint:#6b6b75;--hot:#b5400a;--rule:#e4e4e8}
@media(prefers-color-scheme:dark){:root{--paper:#17171b;--ink:#d6d6dc;--faint:#8c8c98;--hot:#ffab4d;--rule:#2b2b33}}
body{margin:0 auto;max-width:130ch;padding:1em 2ch 4em;background:var(--paper);color:var(--ink);
font:14px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
h1{font-size:1.2em;overflow-wrap:anywhere}p,h2{color:var(--faint);font-size:1em;font-weight:inherit}
div{overflow-x:auto}table{border-collapse:collapse}
th,td{width:1.3em;min-width:1.3em;height:1.3em;padding:0;text-align:center;font-weight:inherit;white-space:pre}
td{border:1px solid var(--rule)}thead th{position:sticky;top:0;background:var(--paper)}
tbody th,thead td{position:sticky;left:0;background:var(--paper)}thead td{border:0}
""" + "".join(
    f".w{level}{{background:color-mix(in srgb,var(--hot) {100 * level // LEVELS}%,transparent)}}\n"
    for level in range(1, LEVELS + 1)
)


class AlignmentPage(PageFile):
    """A page with the attention of lines, in the order in which they are written."""

    what = "attention page"

    def __init__(self, path: Path, model: "Model", scorer: "Scorer", source: str):
        from charrnn.api.alignment import check_attends

        check_attends(model.network)
        super().__init__(path)
        self.model, self.scorer, self.source = model, scorer, source

    def begin(self, file: TextIO) -> TextIO:
        title = escape(printable(f"Attention of {self.model.run} in {self.source}"))
        file.write(
            f"{HEAD}<title>{title}</title>\n<style>\n{_STYLE}</style>\n<h1>{title}</h1>\n"
            "<p>A row shows at which characters the model looked to predict the character on the left. "
            "What is missing to 1 was given to characters that are not shown.\n"
        )
        return file

    def line(self, score: "Score") -> None:
        """Write the table of a line; characters that the model does not read are left out."""
        ids = self.scorer.ids(score.read, f"line {score.line}")
        ids = ids[ids >= 0]
        self.page.write(f"<h2>line {score.line:,}</h2>\n")
        if len(ids) > LONGEST:
            self.page.write(f"<p>The line has {len(ids):,} characters; at most {LONGEST} can be shown.\n")
        elif len(ids):
            self.page.write(_table(self.model.alignment(ids)))

    def finish(self) -> None:
        """A page may end anywhere."""


def _table(alignment: "Alignment") -> str:
    """Return the table of an alignment."""
    columns = [mark(character) for character in alignment.source]
    head = "".join(f"<th>{escape(shown)}" for shown in columns)
    rows = []
    for character, weights in zip(alignment.target, alignment.weights.tolist(), strict=True):
        cells = "".join(_cell(weight) for weight in weights)
        rows.append(f"<tr><th>{escape(mark(character))}{cells}\n")
    return f"<div><table><thead><tr><td>{head}</thead>\n{''.join(rows)}</table></div>\n"


def _cell(weight: float) -> str:
    level = round(weight * LEVELS)
    return f'<td class=w{level} title="{weight:.2f}">' if level else "<td>"
