"""The heat maps: what stands on the terminal and in the page is the text, and nothing in it can do harm."""

import io
import math
import re
import subprocess
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.console import LAYOUT, each_printable
from charrnn.cli.views.heat import BITS, LABELS, coloured, legend, level, wanted
from charrnn.cli.views.heat_page import HeatPage
from support.pages import SGR, Reader

HOSTILE = (
    "\x1b[2J\x1b]0;gone\x07\x00\r\x7f\x9b31m\u202e\u2028\ud800\udfff\ufffe"
    "</b></main><script>alert('\"&amp;\"')</script>"
)
MARKUP = ("&lt;", "&gt;", "&amp;")
SURPRISING = BITS[-1] + 1.0
bits = st.one_of(st.floats(0, 20), st.just(math.inf), st.just(math.nan))
cells = st.lists(st.tuples(st.characters(codec=None, exclude_categories=()), bits), max_size=60)


def plain(text):
    """Return what the terminal shows of a text without its colours."""
    return SGR.sub("", text)


def safe(text):
    """Return whether a string can be shown: no control character, no direction, no lone surrogate."""
    harmless = re.sub("[\n\t\u200c\u200d\U000e0020-\U000e007f]", "", text)
    return not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(c) for c in harmless}


def page(*pieces, model="toy", source="some.txt", unknown=0):
    """Return the page of one text that is told in pieces, each a text and its bits."""
    file = io.StringIO()
    written = HeatPage(file, model, source)
    for text, costs in pieces:
        written.text(text, costs)
    written.finish(sum(len(text) for text, _ in pieces), 1.5, unknown)
    file.getvalue().encode()
    return file.getvalue()


# Levels


def test_a_level_begins_at_its_bits():
    for number, low in enumerate(BITS, 1):
        assert (level(low), level(math.nextafter(low, 0)), level(math.nextafter(low, 99))) == (
            number,
            number - 1,
            number,
        )
    assert (level(0.0), level(-0.0), level(math.nan), level(math.inf)) == (0, 0, 0, len(BITS))


def test_the_labels_say_where_levels_begin():
    assert LABELS == ("<1", "1-2", "2-3", "3-4", "4-6", "6-8", "8-12", "12+")


# On the terminal


def test_neighbours_of_a_level_share_one_sequence():
    assert coloured("plain", [0.0] * 5) == "plain"
    shown = coloured("abcde", [0, 2.0, 2.9, 13, 0.3])
    assert plain(shown) == "abcde" and len(SGR.findall(shown)) == 4
    first, reset, second, again = SGR.findall(shown)
    assert shown == f"a{first}bc{reset}{second}d{again}e" and reset == again == "\x1b[0m" and first != second


def test_every_level_has_a_look_of_its_own():
    shown = [coloured("x", [low]) for low in (0, *BITS)]
    assert len(set(shown)) == len(shown) and shown[0] == "x"


def test_colours_end_before_a_line_break_and_a_surprising_one_is_seen():
    shown = coloured("a\nb\n\tc\t", [13, 13, 13, 0, 0, 0, 13])
    assert plain(shown) == "a↵\nb\n\tc→\t"
    for line in shown.splitlines():
        assert not SGR.findall(line) or SGR.findall(line)[-1] == "\x1b[0m"
    colour = SGR.match(shown)[0]
    assert shown.startswith(f"{colour}a↵\x1b[0m\n{colour}b\x1b[0m\n\tc{colour}→\x1b[0m\t")


def test_a_text_cannot_control_the_terminal():
    for cost in (0.0, SURPRISING, math.nan):
        shown = plain(coloured(HOSTILE, [cost] * len(HOSTILE)))
        assert safe(shown)
        assert shown.startswith(r"\x1b[2J\x1b]0;gone\x07\x00\r\x7f\x9b31m\u202e\u2028\ud800\udfff\ufffe</b>")


@given(cells)
def test_without_colours_the_terminal_shows_the_text(pairs):
    text, costs = "".join(c for c, _ in pairs), [cost for _, cost in pairs]
    marks = {"\n": "↵", "\t": "→"}
    expected = [
        (marks[c] if level(cost) else "") + c if c in marks else c
        for c, cost in zip(each_printable(text, LAYOUT), costs, strict=True)
    ]
    shown = coloured(text, costs)
    assert plain(shown) == "".join(expected) and safe(plain(shown))
    shown.encode()


def test_letters_signs_and_spaces_of_all_scripts_stay_as_they_are():
    text = "é漢字𝒳😀e\u0301 \u00a0\u3000|👩\u200d👧 क\u094d\u200dष می\u200cخواهم"
    assert plain(coloured(text, [13.0] * len(text))) == text


def test_bits_for_every_character_are_asked_for():
    with pytest.raises(ValueError):
        coloured("ab", [1.0])
    with pytest.raises(ValueError):
        page(("ab", [1.0]))


def test_the_legend_shows_every_level_on_one_line():
    assert len(plain(legend())) < 80 and "\n" not in legend() and legend().endswith("\x1b[0m")
    for low, label in zip((0, *BITS), LABELS, strict=True):
        assert coloured(f" {label} ", [low] * (len(label) + 2)) in legend()


@pytest.mark.parametrize(
    ("terminal", "environment", "colours"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_wanted_on_a_terminal_and_where_they_are_forced(terminal, environment, colours, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert wanted() is colours


# The page


def test_a_page_holds_each_character_with_its_level_and_bits():
    found = Reader(page(("a\nb\t", [0.25, 4.814, 12, math.nan]), ("", []), ("<", [1])))
    assert [text for _, text in found.characters] == ["a", "\n", "b", "\t", "<"]
    assert [attributes for attributes, _ in found.characters] == [
        {"class": "h0", "title": "0.25 bits"},
        {"class": "h4 n", "title": "4.81 bits"},
        {"class": "h7", "title": "12.00 bits"},
        {"class": "h0", "title": "not measured"},
        {"class": "h1", "title": "1.00 bits"},
    ]
    assert "".join(found.texts["span"]) == "".join(LABELS)
    assert found.texts["footer"] == "characters 5 · bits per character 1.5000 · unknown 0"
    assert found.within == []


@given(cells)
def test_the_text_of_a_page_is_the_text(pairs):
    text, costs = "".join(c for c, _ in pairs), [cost for _, cost in pairs]
    found = Reader(page((text, costs)))
    assert [shown for _, shown in found.characters] == list(each_printable(text, LAYOUT))
    assert [attributes["class"].split()[0] for attributes, _ in found.characters] == [f"h{level(c)}" for c in costs]


def test_nothing_that_comes_from_outside_is_markup():
    written = page((HOSTILE, [3.0] * len(HOSTILE)), model=f"toy {HOSTILE}", source=HOSTILE)
    found = Reader(written)
    assert safe(written)
    # Alone between two tags a browser takes these for text, but that is luck.
    assert all(f">{mark}</b>" in written and f">{c}</b>" not in written for c, mark in zip("<>&", MARKUP, strict=True))
    allowed = "meta title style header h1 p span main div b footer"
    assert {tag for tag, _ in found.tags} == set(allowed.split())
    assert len(found.characters) == len(HOSTILE) and {*found.characters[0][0]} == {"class", "title"}
    for heading in (found.texts["title"], found.texts["h1"]):
        assert heading.startswith(r"Surprisal of \x1b[2J") and heading.endswith("</script>") and " by toy " in heading


def test_a_page_stands_alone():
    written = page(("text", [1.0] * 4))
    found = Reader(written)
    assert written.startswith('<!doctype html>\n<meta charset="utf-8">')
    assert not re.search(r"https?:|//|@import|url\(|<script|<link|<img", written)
    assert {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"} in [
        attributes for tag, attributes in found.tags if tag == "meta"
    ]
    assert "lang" not in {name for _, attributes in found.tags for name in attributes}
    assert "prefers-color-scheme:dark" in written
    for number in range(1, len(BITS) + 1):
        # On light, and on dark.
        assert written.count(f".h{number},.h{number}::before{{background:#") == 2


def test_lines_have_their_number_and_their_mean():
    file = io.StringIO()
    written = HeatPage(file, "toy", "names.txt", lines=True)
    written.line(7, 2.345, "<b>\n", [0.0, 1, 2, 3])
    written.line(12, 0.5, "", [])
    written.finish(4, 1.5, unknown=1234)
    found = Reader(file.getvalue())
    assert [text for _, text in found.characters] == list("<b>\n")
    rows = re.findall(r"^<tr><td>(.*?)<td class=(\w+)>(.*?)<td>(.*)", file.getvalue(), re.M)
    assert [row[:3] for row in rows] == [("7", "h2", "2.35"), ("12", "h0", "0.50")] and rows[1][3] == "</tr>"
    assert "unknown 1,234" in found.texts["footer"] and found.within == []


def test_what_is_told_is_written_at_once():
    file = io.StringIO()
    written = HeatPage(file, "toy", "some.txt")
    sizes = [file.tell()]
    for _ in range(3):
        written.text("abc", [1.0, 2.0, 3.0])
        sizes.append(file.tell())
    steps = {after - before for before, after in pairwise(sizes)}
    # A text is read far beyond a million characters: an element of 36 bytes each, and nothing besides.
    assert len(steps) == 1 and max(steps) <= 3 * 36


def test_nothing_heavy_is_imported():
    script = "import sys, charrnn.cli.views.heat_page; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.decode().split()
    assert "charrnn.cli.views.heat" in loaded and {"numpy", "rich", "typer"} & set(loaded) == set()
