"""What units do as a web page: a text in the colours of a unit that the reader chooses, and the gates of all layers."""

import json
import math
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from charrnn.cli.console import LAYOUT, each_printable, printable
from charrnn.cli.views.activation_map import as_characters, scale_of
from charrnn.cli.views.page_file import PageFile, head

if TYPE_CHECKING:
    from charrnn.api.model import Model
    from charrnn.data.parts import Part
    from charrnn.inference.neurons import Gate, Neurons

# So many units are on a page, the most telling ones; fewer if the page would have more values than VALUES.
UNITS, FEWEST, VALUES = 200, 20, 1_000_000
_SCRIPT, _STYLE = (Path(__file__).with_name(f"neurons.{kind}") for kind in ("js", "css"))


class NeuronsPage(PageFile):
    """The page of what units of a model do; nothing is written before `write`."""

    what = "page of units"

    def begin(self, file: TextIO) -> TextIO:
        return file

    def finish(self) -> None:
        """A page may end anywhere."""

    def write(self, model: "Model", neurons: "Neurons", part: "Part", source: str) -> None:
        """Write the page; `part` is the text that it shows."""
        names = telling(neurons, max(FEWEST, min(UNITS, VALUES // len(part))))
        text, values = model.vocab.decode(part.ids()), model.activations(part, names)
        if model.text.bytes:
            text, values = as_characters(text, values)
        title = escape(printable(f"Units of {model.run} while it reads {source}"))
        script = _SCRIPT.read_text(encoding="utf-8")
        rare = np.isnan(neurons.correlations).all(axis=1)
        options = "".join(
            f'<option value="{escape(feature)}">{escape(feature)}{" (too rare here)" if no else ""}'
            for feature, no in zip(neurons.features, rare, strict=True)
        )
        letters = "".join(f"<b>{escape(shown, quote=False)}</b>" for shown in each_printable(text, LAYOUT))
        charts = "\n".join(map(_chart, neurons.gates)) or "<p>The cell has no gates."
        # Numbers and the names of units: nothing in it can end the element.
        data = json.dumps(_data(neurons, names, values), separators=(",", ":"))
        self.page.write(
            f"{head(script)}<title>{title}</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n"
            f"<h1>{title}</h1>\n<p>Blue: the value of the unit is below 0; red: above. R is Pearson's correlation "
            f"with a feature of the text, over {neurons.characters:,} characters. Arrow keys move in the list and in "
            "the text.\n<main>\n<aside>\n<label for=feature>Feature</label>"
            f"<select id=feature>{options}</select>\n<label for=search>Find a unit</label>"
            "<input id=search type=search placeholder=layer0/h/ spellcheck=false autocomplete=off>\n"
            '<ul id=units role=listbox tabindex=0 aria-label="Units, the best for the feature first"></ul>\n'
            "<small id=count></small></aside>\n<section><div id=head><output id=said aria-live=polite>"
            f"</output><div id=scale></div></div>\n<div id=text role=application tabindex=0 "
            f'aria-label="Text in the colours of the unit">{letters}</div></section>\n</main>\n'
            "<h2>Gates</h2>\n<p>Each dot is a unit. To the right: the fraction of the time for which its gate is open "
            "(above 0.9). Upwards: shut (below 0.1). The dot of the chosen unit is marked.\n"
            f"<div id=gates>\n{charts}</div>\n"
            f"<script type=application/json id=data>{data}</script>\n<script>{script}</script>\n"
        )


def telling(neurons: "Neurons", count: int) -> list[str]:
    """Return the names of at most `count` units: in turn the best one of each feature, then the second best, …"""
    ranked = [[name for name, _ in neurons.best(feature, count)] for feature in neurons.features]
    if not any(ranked):
        return list(neurons.names[:count])
    in_turn = [names[place] for place in range(count) for names in ranked if place < len(names)]
    return list(dict.fromkeys(in_turn))[:count]


def _data(neurons: "Neurons", names: Sequence[str], values: np.ndarray) -> dict[str, Any]:
    """Return what the script reads; values are whole numbers from -127 to 127, each unit with a scale of its own."""
    scales = [scale_of(own) for own in values.T]
    rounded = np.rint(np.clip(values / scales, -1, 1) * 127).astype(np.int8)
    places = [neurons.names.index(name) for name in names]
    strongest = np.nan_to_num(np.abs(neurons.correlations[:, places])).max(axis=1)
    feature = int(strongest.argmax())
    return {
        "units": [
            {"name": name, "scale": scale, "r": [None if math.isnan(r) else round(r, 3) for r in own]}
            for name, scale, own in zip(names, scales, neurons.correlations[:, places].T.tolist(), strict=True)
        ],
        "values": b64encode(np.ascontiguousarray(rounded.T).tobytes()).decode(),
        "feature": feature,
        "first": int(np.nan_to_num(np.abs(neurons.correlations[feature, places])).argmax()),
    }


def _chart(gate: "Gate") -> str:
    """Return the figure of a gate, as figure 2 of Karpathy, Johnson & Li 2015."""
    dots = "".join(
        f'<circle cx="{100 * right:.1f}" cy="{100 - 100 * left:.1f}" r="1.6"><title>{gate}/{place}: open {right:.1%}, '
        f"shut {left:.1%}</title></circle>"
        for place, (right, left) in enumerate(zip(gate.right.tolist(), gate.left.tolist(), strict=True))
    )
    about = f"{gate}: open {gate.right.mean():.1%} of the time, shut {gate.left.mean():.1%}, on average"
    return (
        f'<figure data-layer="layer{gate.layer}"><figcaption>{gate}</figcaption><svg viewBox="-2 -2 104 104" role=img '
        f'aria-label="{about}"><path d="M0 0V100H100M0 0L100 100"/>{dots}</svg><small></small></figure>'
    )
