"""`charrnn sample`: new text from a trained model."""

from typing import TYPE_CHECKING, Annotated

from charrnn.cli import generating as g
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, prime_ids
from charrnn.cli.console import notices_after
from charrnn.cli.escapes import each_unescaped, unescaped
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.generation import How


def sample(
    run: o.RunOrFile = None,
    temp: g.Temperature = None,
    top_k: g.TopK = None,
    top_p: g.TopP = None,
    min_p: g.MinP = None,
    typical: g.Typical = None,
    beam: g.Beam = None,
    best: g.Best = None,
    length: g.Length = 2000,
    until: g.Until = None,
    keep_until: g.KeepUntil = False,
    lines: g.Lines = None,
    count: g.Count = None,
    prime: g.Prime = "",
    prime_file: g.PrimeFile = None,
    no_prime: g.NoPrime = False,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    allow: g.Allow = None,
    forbid: g.Forbid = None,
    no_repeat: g.NoRepeat = None,
    unique: g.Unique = False,
    novel: g.Novel = False,
    novel_to: g.NovelTo = None,
    cells: o.Cells = None,
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    ids: g.Ids = False,
    jsonl: o.AsJsonl = False,
    show_surprisal: g.ShowSurprisal = False,
) -> None:
    """Sample new text, written as it is made. Without a run named: the newest run's best checkpoint.

    The likelihoods of --jsonl and --show-surprisal are the model's own, at temperature 1 and before any filter.
    """
    from charrnn.api.generation import best_of_drawn
    from charrnn.cli.views.samples import Output

    model = loaded(run)
    form, of_bytes = model.read_as(encoding), model.text.bytes
    stops = each_unescaped(until, of_bytes)
    begun = prime_ids(model, prime, prime_file, unknown, encoding)
    how: How = {
        "temperature": temp,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical": typical,
        "until": stops,
        "keep_until": keep_until,
        "lines": lines,
        "allow": unescaped(allow, of_bytes),
        "forbid": unescaped(forbid, of_bytes),
        "no_repeat": no_repeat,
        "seed": seed,
    }
    skipping = unique or novel or bool(novel_to)
    of_lines = model.text.lines and (lines is not None or not stops)
    one_line = of_lines or lines == 1 or "\n" in stops
    kept_end = keep_until and "\n" in stops
    if best is not None and beam is None:
        raise best_of_drawn()
    if best is not None and show_surprisal:
        raise CharRNNError("--best prints columns, and --show-surprisal coloured text.", hint="Leave one out.")
    if no_prime and prime == "" and prime_file is None:
        raise CharRNNError("--no-prime has no effect without a prime.", hint="Give --prime too, or leave it out.")
    shown = None if no_prime else begun
    output = Output(model, shown, jsonl, ids, show_surprisal, one_line, kept_end, form.encoding)
    if beam is not None:
        if count not in (None, 1) or skipping:
            raise CharRNNError("--beam searches for texts; --count, --unique and --novel are for drawing.")
        output.found(model.n_best(beam, best or 1, length, prime=begun, **how), best)
    elif count in (None, 1) and not (skipping or jsonl or (model.text.lines and (lines or count))):
        with notices_after():
            output.stream(model.characters(length, prime=begun, with_nats=show_surprisal, **how))
    else:
        from charrnn.cli.views.reading import Reading

        with Reading() as reading:
            made = model.samples(
                1 if count is None else count,
                length,
                prime=begun,
                unique=unique,
                novel=novel,
                novel_to=novel_to or (),
                encoding=encoding,
                watch=reading.show,
                **how,
            )
        output.samples(made)
