"""The report of a run as a web page, one file that needs no network and no script."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from charrnn.cli.console import LAYOUT, as_options, each_printable, printable, with_cells
from charrnn.cli.views import summary
from charrnn.cli.views.characters import quoted
from charrnn.cli.views.heat_page import MARKS, marked, scale
from charrnn.cli.views.page_file import HEAD, PageFile
from charrnn.cli.views.svg_chart import STYLE, line_chart
from charrnn.cli.views.whole import Whole
from charrnn.config import BUDGET, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from charrnn.api.report import Report

_STYLE = Path(__file__).with_name("report.css")
# Lines of characters in the table of facts have at most this many columns.
_WIDTH = 60
# The sections, by id.
_SECTIONS = {
    "settings": "Settings",
    "losses": "Losses",
    "samples": "Samples",
    "figures": "Held-out text",
    "surprisal": "Surprisal",
    "mistakes": "Mistakes",
}


class ReportPage(PageFile):
    """The page of a report; nothing is written before `write`."""

    what = "report"

    def begin(self, file: TextIO) -> TextIO:
        return file

    def finish(self) -> None:
        """A page may end anywhere."""

    def write(self, report: "Report") -> None:
        """Write the page."""
        self.page.write("".join(page(report)))


def page(report: "Report") -> Iterator[str]:
    """Yield the page of a report in pieces."""
    facts = report.facts
    title = _shown(f"Run {report.name}" if facts["run"] else f"Checkpoint {report.name}")
    sections = {
        "settings": _settings(report),
        "losses": _losses(report),
        "samples": _samples(report),
        "figures": _figures(report),
        "surprisal": _surprisal(report),
        "mistakes": _mistakes(report),
    }
    style = _STYLE.read_text(encoding="utf-8")
    yield f"{HEAD}<title>{title}</title>\n<style>\n{style}{STYLE}{MARKS}</style>\n<h1>{title}</h1>\n"
    about = f"{facts['model']['title']}, {facts['parameters']:,} parameters"
    if facts["step"] is not None:
        about += f"; the model of step {facts['step']:,}"
    yield f"<p>{_shown(about)}\n"
    links = (f'<a href="#{name}">{_SECTIONS[name]}</a>' for name, content in sections.items() if content)
    yield f"<nav>{''.join(links)}</nav>\n"
    yield "".join(f"<p><mark>{_shown(as_options(why))}</mark>\n" for why in report.missing)
    for name, content in sections.items():
        if content:
            yield f"<h2 id={name}>{_SECTIONS[name]}</h2>\n{content}"


def _settings(report: "Report") -> str:
    rows = "".join(
        f"<dt>{_shown(label)}<dd>{'<br>'.join(map(_shown, lines))}\n"
        for label, lines in summary.rows(dict(report.facts), _WIDTH)
    )
    return f"<dl>\n{rows}</dl>\n{_values(report)}{_reproduced(report)}"


def _values(report: "Report") -> str:
    """Return all settings of the network and its training, and those of the text that differ from the defaults."""
    if report.changed is None:
        return "<p>The checkpoint does not say how it was trained.\n"
    facts = report.facts
    values = {name: facts["model"].get(name) for name in vars(ModelConfig()) if name != "classes"}
    values |= {name: facts["training"].get(name) for name in vars(TrainConfig())} | dict(report.changed)
    if values["lr"] is None and "lr" not in report.changed:
        values["lr"] = "the optimizer's"
    pairs = "".join(
        f"<div{' class=changed' if name in report.changed else ''}><dt>{_option(name)}"
        f"<dd>{_shown(summary.word(value))}</div>\n"
        for name, value in values.items()
    )
    return (
        "<details><summary>All settings</summary>\n<p>Settings that differ from the defaults are "
        f"<mark>marked</mark>.\n<dl class=settings>\n{pairs}</dl></details>\n"
    )


def _reproduced(report: "Report") -> str:
    """Return the command that trains such a run, as far as the checkpoint knows it."""
    facts = report.facts
    progress = facts["progress"] if isinstance(facts["progress"], dict) else {}
    corpus = progress.get("corpus")
    if report.changed is None or not isinstance(corpus, dict):
        return ""
    sources = corpus.get("sources")
    sources = [str(source) for source in sources] if isinstance(sources, list) else ["TEXT"]
    settings = dict(report.changed)
    if corpus.get("val_sources"):
        # Another text validates, so these have no effect, and `train` refuses them.
        settings.pop("val", None)
        if not facts["training"].get("test"):
            settings.pop("split", None)
    words = ["charrnn", "train", *sources, *_options(settings, facts["training"])]
    for key, option in (("include", "--include"), ("val_sources", "--val-file")):
        given = corpus.get(key)
        words += [word for value in given for word in (option, str(value))] if isinstance(given, list) else []
    if progress.get("backend") not in (None, "tensorflow"):
        words += ["--backend", str(progress["backend"])]
    notes = [f"The SHA-256 of the text is {corpus.get('sha256')}."]
    if facts["training"].get("minutes") is not None:
        notes.append("With --minutes the number of steps depends on the speed of the machine.")
    notes.append(
        f"It was written by charrnn {facts['version']}. A vocabulary (--vocab), first weights (--init), "
        "--min-count and --drop-unused are not recorded, nor are changes of settings when it was resumed."
    )
    command = _shown(shlex.join(words) + with_cells())
    return f"<h3>Train it again</h3>\n<pre>{command}</pre>\n<p>{_shown(' '.join(notes))}\n"


def _options(changed: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of a command line for settings; a budget is always named."""
    named = {name: training.get(name) for name in BUDGET if training.get(name) is not None} | dict(changed)
    for name, value in named.items():
        if isinstance(value, bool):
            yield f"--{_option(name)}"
        elif isinstance(value, list):
            yield from (word for one in value for word in (f"--{_option(name)}", str(one)))
        else:
            yield from (f"--{_option(name)}", "0" if value is None else str(value))


def _option(name: str) -> str:
    return _shown(name.replace("_", "-"))


def _losses(report: "Report") -> str:
    unit, losses = report.facts["unit"], report.losses
    if not losses.train and not losses.validation:
        return "<p>Nothing was logged yet.\n"
    best = [losses.best] if losses.best else []
    curves = [("train", losses.train), ("validation", losses.validation), ("best", best)]
    charts = line_chart(curves, "steps", f"bits per {unit}", "Loss")
    return charts + line_chart([("rate", report.learning_rates)], "steps", "learning rate", "Learning rate")


def _samples(report: "Report") -> str:
    from charrnn.api.report import ends_and_best

    progress = report.facts["progress"] or {}
    chosen = ends_and_best(report.samples, progress.get("best_step"))
    first = "".join(_sample(report.samples[place], ", ".join(whys)) for place, whys in chosen.items())
    rest = [sample for place, sample in enumerate(report.samples) if place not in chosen]
    if not rest:
        return first
    more = "".join(_sample(sample) for sample in rest)
    return f"{first}<details><summary>{len(rest):,} more</summary>\n{more}</details>\n"


def _sample(sample: tuple[int, str], why: str = "") -> str:
    step, text = sample
    return f"<h3>Step {step:,}{f' ({why})' if why else ''}</h3>\n<pre>{_text(text)}</pre>\n"


def _figures(report: "Report") -> str:
    facts = dict(report.facts)
    rows = [(part, lines) for part, lines in summary.figures(facts)]
    content = "".join(f"<p>{_shown(part)}: {'. '.join(map(_shown, lines))}.\n" for part, lines in rows)
    for part, compared in report.compared.items():
        if len(compared) > 1:
            content += f"<h3>Bits per {facts['unit']} of the {part} part</h3>\n{_bars(compared)}"
    return content


def _bars(compared: Mapping[str, float]) -> str:
    most = max(compared.values()) or 1.0
    rows = "".join(
        f"<tr{' class=self' if name == 'this model' else ''}><td>{_shown(name)}<td>{bits:.3f}<td class=bar>"
        f'<i style="width:{100 * max(0.0, bits) / most:.1f}%"></i>\n'
        for name, bits in compared.items()
    )
    return f"<div class=wide><table>\n{rows}</table></div>\n"


def _surprisal(report: "Report") -> str:
    stretch = report.stretch
    if stretch is None:
        return ""
    text, bits = Whole(bool(report.facts["text"].get("bytes")))(stretch.text, list(stretch.bits))
    return (
        f"<p>The beginning of the {_shown(stretch.part)} part: the colour of each character shows its bits, which the "
        f"pointer tells.\n<p class=scale>{scale()}\n<div id=heat>{marked(text, bits)}</div>\n"
    )


def _mistakes(report: "Report") -> str:
    facts = report.facts
    if report.confusion:
        return _confusion(report.confusion, facts["model"]["classes"])
    if not report.mistakes:
        return ""
    of_bytes = bool(facts["text"].get("bytes"))
    rows = "".join(
        f"<tr><td>{_shown(quoted(one.true, of_bytes))}<td class=left>{_shown(quoted(one.predicted, of_bytes))}"
        f"<td>{one.count:,}<td>{one.share:.1%}<td>{one.bits:,.1f}\n"
        for one in report.mistakes
    )
    read = f"{report.read:,} {'bytes' if of_bytes else 'characters'}"
    return (
        f"<p>Where something else seemed likelier than what is there, among {read} of held-out text; the "
        "most expensive pairs first. The share is that of all places with the true one.\n<div class=wide><table>\n"
        f"<tr><th>true<th class=left>likeliest<th>times<th>share<th>bits lost\n{rows}</table></div>\n"
    )


def _confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    from charrnn.cli.views.confusion import LABELS, MISTAKES, most_frequent, short_label

    names = [escape(short_label(label)) for label in labels]
    if len(names) > LABELS:
        body = "".join(
            f"<tr><td>{names[true]}<td class=left>{names[given]}<td>{count:,}\n"
            for count, true, given in most_frequent(counts)[:MISTAKES]
        )
        head = "<tr><th>true<th class=left>given<th>times\n"
    else:
        head = f"<tr><th>true, given:{''.join(f'<th>{name}' for name in names)}\n"
        body = "".join(
            f"<tr><td>{name}{''.join(_count(count, true == given) for given, count in enumerate(row))}\n"
            for true, (name, row) in enumerate(zip(names, counts, strict=True))
        )
    table = f"<div class=wide><table>\n{head}{body}</table></div>\n"
    return f"<p>How often each label was given to the held-out texts.\n{table}"


def _count(count: int, right: bool) -> str:
    return f"<td{' class=right' if right else ''}>{count:,}"


def _text(text: str) -> str:
    return escape("".join(each_printable(text, LAYOUT)), quote=False)


def _shown(text: str) -> str:
    return escape(printable(text))
