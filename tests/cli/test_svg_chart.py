"""Charts of lines in web pages: where points are drawn, and what is left out."""

import math
import re
from xml.etree import ElementTree

import pytest

from charrnn.cli.views.svg_chart import MARKED, MOST, STYLE, line_chart, thinned


def circles(figure: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle class=l\d cx="([\d.]+)" cy="([\d.]+)"', figure)
    return [(float(x), float(y)) for x, y in found]


def test_points_are_placed_in_proportion():
    points = [(0, 1.0), (10, 3.0), (20, 5.0)]
    (left, low), (middle, centre), (right, high) = circles(line_chart([("a", points)], "steps", "bits"))
    assert left < middle < right and low > centre > high
    assert middle - left == pytest.approx(right - middle, abs=0.11)
    assert low - centre == pytest.approx(centre - high, abs=0.11)


def test_a_logarithmic_axis_has_equal_distances_for_equal_factors():
    points = [(1, 0.01), (2, 1.0), (3, 100.0), (4, 0.0), (5, -3.0)]
    figure = line_chart([("a", points)], "steps", "rate", log_y=True)
    (_, low), (_, centre), (_, high) = circles(figure)
    assert low - centre == pytest.approx(centre - high, abs=0.11)
    assert all(f">{label}</text>" in figure for label in ("0.01", "1", "100"))


def test_points_that_are_not_finite_are_left_out_and_a_chart_may_be_empty():
    figure = line_chart([("a", [(1, math.nan), (2, 2.0), (3, math.inf), (4, 1.0)]), ("b", [])], "steps", "bits")
    assert len(circles(figure)) == 2 and "nan" not in figure and "inf" not in figure and ">b<" not in figure
    for nothing in ([], [("a", [])], [("a", [(1, math.nan)])]):
        assert "nothing to draw" in line_chart(nothing, "steps", "bits")


def test_names_are_escaped():
    figure = line_chart([("</svg><script>\x07\u202e", [(1, 2)])], "<x>", "<y>", "<title>")
    assert "<script" not in figure and "\x07" not in figure and "\u202e" not in figure
    assert "&lt;/svg&gt;&lt;script&gt;" in figure and "&lt;x&gt;" in figure and "<title>&lt;" in figure


@pytest.mark.parametrize("points", [[(5, 2.0)], [(0, 0.0)], [(1e-9, 1e12), (2e-9, 1e12)], [(1, -5.0), (2, 1e6)]])
def test_odd_ranges_are_drawn(points):
    figure = line_chart([("a", points)], "steps", "bits")
    assert all(0 <= x <= 640 and 0 <= y <= 300 for x, y in circles(figure)) and len(circles(figure)) == len(points)


def test_lines_of_several_series_differ_in_colour_and_dashes():
    figure = line_chart([(str(n), [(1, n), (2, n + 1)]) for n in range(12)], "steps", "bits").split("role=img")[1]
    styles = re.findall(r'<polyline class=(l\d)(?: stroke-dasharray="([\d ]+)")?', figure)
    assert len(styles) == len(set(styles)) == 12
    assert {f"var(--line{name[1:]})" for name, _ in styles} <= set(re.findall(r"var\(--line\d\)", STYLE))


def test_many_points_keep_their_extremes():
    points = [(n, math.sin(n)) for n in range(10_000)]
    points[4321] = (4321, 50.0)
    points[8765] = (8765, -50.0)
    kept = thinned(points)
    assert len(kept) <= MOST and points[4321] in kept and points[8765] in kept
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert thinned(points[:MOST]) == points[:MOST]
    assert not circles(line_chart([("a", points[: MARKED + 1])], "steps", "bits"))


def test_the_drawing_is_well_formed():
    figure = line_chart([("a", [(1, 2.0), (2, 3.0)]), ("b", [(1.5, 2.5)])], "steps", "bits", "Loss")
    drawing = re.search(r"<svg viewBox=\"0 0 640.*?</svg>", figure, re.S)[0]
    # HTML allows attributes without quotation marks.
    root = ElementTree.fromstring(re.sub(r'=([^"\s/>]+)', r'="\1"', drawing))
    assert len(root.findall("polyline")) == 1 and len(root.findall("circle")) == 3
    assert root.attrib["aria-label"] == "Loss: a from 2 to 3; b from 2.5 to 2.5"
