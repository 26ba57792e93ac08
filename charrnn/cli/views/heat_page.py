"""The heat map of surprisal as a web page: one file, written piece by piece, that needs no network and no script."""

import math
from collections.abc import Sequence
from html import escape
from typing import TextIO

from charrnn.cli.console import LAYOUT, each_printable, printable
from charrnn.cli.views.heat import LABELS, level, measured
from charrnn.cli.views.page_file import HEAD

# Background colours of the levels above 0, from the weakest to the strongest. From the level `turn` of `_rules` on, the
# text has the opposite colour, for contrast.
_LIGHT = ("#fff4cc", "#fee391", "#fec35f", "#fd9441", "#f2602b", "#cf1b1b", "#850026")
_DARK = ("#33271b", "#543719", "#7b4716", "#a65a12", "#df8418", "#ffb955", "#fff0bf")
_STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#24242a;--faint:#6b6b75;--rule:#ddd}
body{margin:0 auto;max-width:130ch;padding:0 2ch 4em;background:var(--paper);color:var(--ink);
font:14px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;display:flex;flex-direction:column}
header{position:sticky;top:0;padding:1em 0;background:var(--paper);border-bottom:1px solid var(--rule)}
h1{margin:0 0 .5em;font-size:1.2em;overflow-wrap:anywhere}
p{margin:0}header span{padding:.1em 1ch}
footer{order:1;padding:1em 0;color:var(--faint)}main{order:2}
main div,td:last-child{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:plaintext}
table{width:100%;border-collapse:collapse;table-layout:fixed}
th,td{padding:.15em 1ch;text-align:right;vertical-align:top}
th{font-weight:inherit;color:var(--faint)}th:last-child,td:last-child{text-align:left}
th:first-child{width:6ch}th:nth-child(2){width:9ch}td:first-child{color:var(--faint)}
"""
_NIGHT = "--paper:#17171b;--ink:#d6d6dc;--faint:#8c8c98;--rule:#34343c"


def _rules(papers: Sequence[str], turn: int, below: str, above: str) -> str:
    """Return the style of each level: its background, and its text colour, `below` the level `turn` or `above`."""
    inks = [below if number < turn else above for number in range(1, len(papers) + 1)]
    return "".join(
        f".h{number},.h{number}::before{{background:{paper};color:{ink}}}\n"
        for number, (paper, ink) in enumerate(zip(papers, inks, strict=True), 1)
    )


# The style of the characters of a heat map; the page says what colour is faint.
MARKS = (
    'b{font-weight:inherit}.n::before{content:"↵";color:var(--faint)}\n'
    f"{_rules(_LIGHT, 6, '#000', '#fff')}"
    f"@media(prefers-color-scheme:dark){{\n{_rules(_DARK, 5, '#fff', '#000')}}}\n"
)
_CSS = f"{_STYLE}@media(prefers-color-scheme:dark){{:root{{{_NIGHT}}}}}\n{MARKS}"


class HeatPage:
    """A page that is written to an open text file in UTF-8: first its head, then the content, last the totals.

    It contains one text, written in pieces (`text`), or with `lines` a table of records (`line`).
    """

    def __init__(self, file: TextIO, model: str, source: str, lines: bool = False):
        self._write = file.write
        self._end = "</table>" if lines else "</div>"
        title = escape(printable(f"Surprisal of {source} by {model}"))
        self._write(
            f"{HEAD}<title>{title}</title>\n<style>\n{_CSS}</style>\n"
            f"<header><h1>{title}</h1><p>{scale()}</p></header>\n<main>"
            + ("<table>\n<tr><th>line<th>bits/char<th>text\n" if lines else "<div>")
        )

    def text(self, text: str, bits: Sequence[float]) -> None:
        """Write the next piece of the text, with the bits of each character (NaN: not measured)."""
        self._write(marked(text, bits))

    def line(self, number: int, bits_per_char: float, text: str, bits: Sequence[float]) -> None:
        """Write a record, including its line end if that was measured."""
        self._write(f"<tr><td>{number}<td class=h{level(bits_per_char)}>{measured(bits_per_char, 2)}<td>")
        self.text(text, bits)
        self._write("</tr>\n")

    def finish(self, characters: int, bits_per_char: float, unknown: int = 0) -> None:
        """Write the totals, which the page shows above the text, and the end of the page; the file stays open."""
        totals = f"characters {characters:,} · bits per character {measured(bits_per_char, 4)} · unknown {unknown:,}"
        self._write(f"{self._end}</main>\n<footer>{totals}</footer>\n")


def scale() -> str:
    """Return the levels with their bits, as a piece of a line."""
    return "bits" + "".join(f"<span class=h{number}>{escape(label)}</span>" for number, label in enumerate(LABELS))


def marked(text: str, bits: Sequence[float]) -> str:
    """Return a text with each character in the colour of its bits; the page needs MARKS."""
    characters = zip(each_printable(text, LAYOUT), bits, strict=True)
    return "".join(_character(character, cost) for character, cost in characters)


def _character(shown: str, cost: float) -> str:
    """Return the element of one character; a line break also gets a visible mark, which is not copied."""
    title = "not measured" if math.isnan(cost) else f"{cost:.2f} bits"
    if shown == "\n":
        return f'<b class="h{level(cost)} n" title="{title}">\n</b>'
    return f'<b class=h{level(cost)} title="{title}">{escape(shown, quote=False)}</b>'
