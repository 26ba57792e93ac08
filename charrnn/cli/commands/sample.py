"""`charrnn sample`: new text from a trained model."""

import sys
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import options as o
from charrnn.cli.arguments import check_unknown
from charrnn.cli.console import printable, say
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    import numpy as np

    from charrnn.api.novelty import Known
    from charrnn.inference.generation import Generation, Sample
    from charrnn.inference.model import Model

# Samples in a row that are not new, before there is nothing new to be expected.
_TRIES = 1000


def sample(
    run: o.RunOrFile = None,
    temp: o.Temperature = 1.0,
    top_k: o.TopK = None,
    top_p: o.TopP = None,
    min_p: o.MinP = None,
    typical: o.Typical = None,
    beam: o.Beam = None,
    length: Annotated[int, typer.Option("--length", "-n", min=0, help="Characters to sample, at most.")] = 2000,
    until: o.Until = None,
    lines: Annotated[
        int | None, typer.Option("--lines", min=1, help="Stop behind so many lines.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=0, help="Samples, made side by side.")] = 1,
    prime: Annotated[
        str,
        typer.Option("--prime", "-p", help=r"Text to go on from; it is printed first. \n is a line break, - is stdin."),
    ] = "",
    prime_file: Annotated[
        Path | None, typer.Option("--prime-file", help="Go on from what this file holds.", show_default=False)
    ] = None,
    unknown: o.Unknown = None,
    allow: o.Allow = None,
    forbid: o.Forbid = None,
    no_repeat: o.NoRepeat = None,
    unique: Annotated[bool, typer.Option("--unique", help="Skip samples that were there already.")] = False,
    novel: Annotated[bool, typer.Option("--novel", help="Skip samples that stand in the training text.")] = False,
    novel_to: Annotated[
        list[str] | None, typer.Option("--novel-to", metavar="CORPUS", help="Skip samples that stand in this text.")
    ] = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    ids: Annotated[bool, typer.Option("--ids", help="Print ids instead of characters.")] = False,
    jsonl: o.AsJsonl = False,
    show_surprisal: Annotated[
        bool, typer.Option("--show-surprisal", help="Colour characters by how surprising they were to the model.")
    ] = False,
) -> None:
    """Sample new text, written as it is made. Without a run named: the newest run's best checkpoint.

    The likelihoods of --jsonl and --show-surprisal are the model's own, at temperature 1 and before any filter.
    """
    from charrnn.api.generation import ending, generation
    from charrnn.cli.views.samples import Output
    from charrnn.inference.model import Model
    from charrnn.inference.sampling import Sampling
    from charrnn.runs.folder import find_checkpoint

    path = find_checkpoint(run)
    model = Model.load(path)
    model.limit_threads()
    check_unknown(unknown)
    sampling = Sampling(temp, top_k, top_p, min_p, typical)
    before = _prime(model, prime, prime_file, unknown)
    if lines and model.text.lines and beam is None:
        # Its lines know nothing of each other: they are samples of their own.
        count, lines = count * lines, 1
    end = ending(model, length, until or (), lines)
    how = generation(model, end, sampling, allow, forbid, no_repeat, seed)
    output = Output(model, before, jsonl, ids, show_surprisal, one_line=lines == 1 or (end.line_break,) in end.stops)
    if beam is not None:
        from charrnn.inference.beam import beam_search

        if count != 1 or unique or novel or novel_to or no_repeat:
            raise CharRNNError("--beam finds one text; --count, --unique, --novel and --no-repeat are for drawing.")
        output.samples([beam_search(model, model.before(before), beam, end, how.banned)])
    elif count == 1 and not (unique or novel or novel_to or jsonl):
        from charrnn.inference.generation import generate_one

        output.stream(generate_one(model, model.before(before), how, show_surprisal))
    elif unique or novel or novel_to:
        from charrnn.api.novelty import known_text

        known = known_text(path, model.text, novel_to or ()) if novel or novel_to else None
        output.samples(_new(_many(model, before, how, count, True), model, before, unique, known, count))
    else:
        output.samples(_many(model, before, how, count, False))


def _prime(model: "Model", prime: str, file: Path | None, unknown: str | None) -> "np.ndarray":
    """Return the ids to go on from."""
    from charrnn.text.decoding import Decoder, prepare

    if prime and file:
        raise CharRNNError("--prime and --prime-file exclude each other.", hint="Give one of them.")
    if prime == "-" or file:
        from_file = file and str(file) != "-"
        data, where = (file.read_bytes(), str(file)) if file and from_file else (sys.stdin.buffer.read(), "stdin")
        decoder = Decoder(model.text, where)
        text = decoder.feed(data) + decoder.close()
    else:
        text, where = prepare(o.unescaped(prime) or "", model.text), "--prime"
    ids, notice = model.vocab.admit(text, unknown, where)
    if notice:
        say(printable(notice))
    return ids


def _many(model: "Model", prime: "np.ndarray", how: "Generation", count: int, skipping: bool) -> Iterator["Sample"]:
    """Yield samples made side by side: so many, or without an end if some of them will be skipped."""
    from charrnn.inference.batch import SIDE_BY_SIDE, generate

    before = model.before(prime)
    befores = repeat(before[-1:]) if skipping else repeat(before[-1:], count)
    return generate(model, before[:-1], befores, how, min(SIDE_BY_SIDE, count)) if count else iter(())


def _new(
    samples: Iterable["Sample"], model: "Model", prime: "np.ndarray", unique: bool, known: "Known | None", count: int
) -> Iterator["Sample"]:
    """Yield the first `count` samples that are new; give up where none comes for long."""
    if model.end is not None:
        # Documents of the prime that have ended are forgotten, and no part of what is new.
        prime = model.before(prime)[1:]
    begun = model.vocab.decode(prime)
    seen: set[str] = set()
    found = tries = 0
    for sample in samples:
        text = model.vocab.decode(sample.ids)
        if text and not (unique and text in seen) and not (known and begun + text in known):
            seen.add(text)
            yield sample
            found, tries = found + 1, 0
        else:
            tries += 1
        if found == count:
            return
        if tries == _TRIES:
            say(f"Found {found:,} of {count:,}: {_TRIES:,} samples in a row were not new. A higher --temp may help.")
            return
