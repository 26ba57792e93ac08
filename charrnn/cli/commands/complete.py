"""`charrnn complete`: what follows each line."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import options as o
from charrnn.cli.arguments import check_unknown, run_and_lines
from charrnn.cli.console import printable, say, write_data
from charrnn.errors import CharRNNError
from charrnn.text.decoding import BYTES, prepare
from charrnn.text.lines import portions, seen

# Notices of single lines that are worth saying.
NOTICES = 10

if TYPE_CHECKING:
    import numpy as np

    from charrnn.inference.generation import Generation, Sample
    from charrnn.inference.model import Model


def complete(
    arguments: o.RunAndLines = None,
    append: Annotated[
        str | None,
        typer.Option(
            "--append",
            metavar="TEXT",
            callback=o.unescaped,
            help="Put this behind each line; by default the model's --loss-after, where a line lacks it.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        list[str] | None,
        typer.Option("--until", metavar="TEXT", help="Stop before this text.", show_default="the end of the line"),
    ] = None,
    length: Annotated[int, typer.Option("--length", "-n", min=0, help="Characters, at most.")] = 200,
    temp: o.Temperature = 0.0,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    typical: o.Typical = None,
    beam: o.Beam = None,
    allow: o.Allow = None,
    forbid: o.Forbid = None,
    no_repeat: o.NoRepeat = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfLines = None,
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="TARGETS", help="Count how many are exactly the lines of this file."),
    ] = None,
    jsonl: o.AsJsonl = False,
    unbuffered: Annotated[
        bool, typer.Option("--unbuffered", help="Complete and print each line as it comes, for pipes that live long.")
    ] = False,
) -> None:
    """Complete lines: print what follows each, up to the end of the line, by default the likeliest characters.

    A model trained with --lines --loss-after on lines of SOURCE, a separator and TARGET answers SOURCE with TARGET.
    """
    from charrnn.api.generation import ending, generation
    from charrnn.cli.views.samples import as_line, record
    from charrnn.inference.model import Model
    from charrnn.inference.sampling import Sampling
    from charrnn.runs.folder import find_checkpoint

    check_unknown(unknown)
    if beam is not None and no_repeat:
        raise CharRNNError("--beam searches for the likeliest text; --no-repeat is for drawing.")
    run, source = run_and_lines(arguments or [], "complete")
    if check == source == "-":
        raise CharRNNError("The lines and the targets of --check cannot both come from stdin.", hint="Name a file.")
    model = Model.load(find_checkpoint(run))
    model.limit_threads()
    sampling = Sampling(temp, top_k, top_p, min_p, typical)
    how = generation(model, ending(model, length, until or _line_end(model)), sampling, allow, forbid, no_repeat, seed)
    errors = errors or ("strict" if model.text.bytes else "replace")
    config = replace(model.text, encoding=encoding or model.text.encoding, errors=errors)
    answers = _Answers(model, how, beam, append, unknown)
    wanted = chain.from_iterable(portions(check, replace(config, errors=model.text.errors))) if check else None
    right = lines = 0
    for portion in portions(source, config, unbuffered):
        for line, sample in zip(portion, answers.to(portion, lines), strict=True):
            lines += 1
            text = model.vocab.decode(sample.ids)
            facts: dict[str, Any] = {"line": lines, "source": line, **record(text, sample)}
            if wanted is not None:
                facts |= _checked(text, next(wanted, None), model, lines)
                right += facts["right"]
            if jsonl:
                write_data(as_line(facts))
            elif wanted is None:
                # A completion is one line, whatever it is made of.
                write_data(text.replace("\n", "\\n") + "\n", BYTES if model.text.bytes else "utf-8")
    if wanted is not None:
        _report(right, lines, next(wanted, None) is not None, jsonl)


def _line_end(model: "Model") -> list[str]:
    """Return what ends a completion by default: what ends a document that is forgotten, or a line."""
    end = (model.text.document_end if model.text.resets else None) or "\n"
    return [end] if end in model.vocab.symbols else []


class _Answers:
    """What follows lines: `append` stands between, by default the model's separator if a line lacks it."""

    def __init__(self, model: "Model", how: "Generation", beam: int | None, append: str | None, unknown: str | None):
        import numpy as np

        self.model, self.how, self.beam, self.unknown = model, how, beam, unknown
        self.append = None if append is None else prepare(append, model.text)
        self.before = model.before(np.zeros(0, np.int64))
        self.told = 0

    def to(self, lines: Sequence[str], before: int) -> Iterator["Sample"]:
        """Yield what follows each of some lines, `before` which stand so many."""
        import numpy as np

        from charrnn.inference.batch import generate
        from charrnn.inference.beam import beam_search

        ids = (self._ids(line, number) for number, line in enumerate(lines, before + 1))
        if self.beam is None:
            behind = (np.concatenate([self.before[-1:], own]) for own in ids)
            return generate(self.model, self.before[:-1], behind, self.how, first=before)
        begins = (np.concatenate([self.before, own]) for own in ids)
        return (beam_search(self.model, begin, self.beam, self.how.ending, self.how.banned) for begin in begins)

    def _ids(self, line: str, number: int) -> "np.ndarray":
        from charrnn.inference.lines import admitted

        text = seen(line, self.model.text)
        between = self.append
        if between is None:
            separator = self.model.text.loss_after or ""
            between = "" if separator in text else separator
        text += between
        ids, notice = admitted(self.model.vocab, self.model.vocab.table(text), text, self.unknown, number)
        if notice:
            self._tell(notice)
        return ids[ids >= 0]

    def _tell(self, notice: str) -> None:
        """Say a notice of a line, of the first few."""
        self.told += 1
        if self.told <= NOTICES:
            say(printable(notice))
        elif self.told == NOTICES + 1:
            say("… and so in other lines.")


def _checked(text: str, target: str | None, model: "Model", line: int) -> dict[str, Any]:
    """Return what --check says of a completion."""
    if target is None:
        raise CharRNNError(f"--check has no line {line:,}.", hint="It needs a target for each line.")
    return {"target": target, "right": text == seen(target, model.text)}


def _report(right: int, lines: int, more: bool, on_stderr: bool) -> None:
    if more:
        raise CharRNNError(f"--check has more than {lines:,} lines.", hint="It needs a target for each line.")
    if not lines:
        raise CharRNNError("There were no lines to complete.", hint="Name a text with lines, or pipe one.")
    report = f"exact: {right:,} of {lines:,} ({right / lines:.2%})\n"
    if on_stderr:
        say(report.rstrip())
    else:
        write_data(report)
