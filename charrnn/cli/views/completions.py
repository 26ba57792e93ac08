"""Prints completions of lines: as text, as JSON records, with the model's attention, or only how many were right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import TextWriter, Writer, say, write_data
from charrnn.cli.views.samples import as_line, columns, ranked
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.api.completion import Answers, Targets
    from charrnn.api.generation import Sample
    from charrnn.config import TextConfig


@dataclass(frozen=True)
class Form:
    """How completions are printed: as lines or as `json`, several of each line if they are `best` ones.

    `text` says how the lines were read. JSON records name the `run`. With `attention`, it is shown where the model
    looked.
    """

    text: "TextConfig"
    run: str
    json: bool
    best: bool
    attention: bool


class Completions:
    """Prints completions, or compares them with `targets`; `lines` counts the lines so far."""

    def __init__(self, answers: "Answers", targets: "Targets | None", form: Form):
        self.answers, self.targets, self.form = answers, targets, form
        self.writer = TextWriter(form.text.encoding, form.text.bytes)
        # Not every encoding has the characters that show weights.
        self.shades = Writer()
        self.lines = 0
        if form.attention:
            from charrnn.api.alignment import check_attends

            check_attends(answers.model)

    def show(self, line: str, found: "Sequence[Sample]") -> None:
        """Print the completions of the next line."""
        self.lines += 1
        for rank, sample in enumerate(found, 1):
            compared = self.targets.compare(sample.text) if self.targets is not None else {}
            if self.form.json:
                self._record(line, rank, sample, compared)
            elif self.targets is None:
                # The output has one line per completion, even if the completion contains line breaks.
                text = sample.text.replace("\n", "\\n") + "\n"
                self.writer.write(f"{self.lines}\t{columns(sample, text)}" if self.form.best else text)
                if self.form.attention:
                    from charrnn.cli.views.alignment import drawn

                    for row in drawn(self.answers.alignment(line, self.lines, sample), self.lines):
                        self.shades.write(row + "\n")

    def _record(self, line: str, rank: int, sample: "Sample", compared: dict[str, Any]) -> None:
        facts: dict[str, Any] = {"line": self.lines, "source": line}
        facts |= {**ranked(sample, rank, 1 if self.form.best else None), **sample.to_json(), **compared}
        facts |= {name: readable(facts[name], self.form.text) for name in facts.keys() & {"source", "text", "target"}}
        if self.form.attention:
            looked = self.answers.alignment(line, self.lines, sample).to_json()
            facts["attention"] = {
                **looked,
                **{name: readable(looked[name], self.form.text) for name in ("source", "target")},
            }
        write_data(as_line({**facts, "run": self.form.run}))

    def end(self) -> None:
        """Print how many completions were right, if there are targets."""
        if self.targets is None:
            return
        self.targets.end()
        report = f"exact: {self.targets.right:,} of {self.lines:,} ({self.targets.right / self.lines:.2%})"
        if self.form.json:
            say(report)
        else:
            self.writer.write(report + "\n")
