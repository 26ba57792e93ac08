"""`charrnn sample`: generates new text from a trained model."""

from itertools import chain
from typing import TYPE_CHECKING, Annotated

from charrnn.cli import generating as g
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, prime_ids
from charrnn.cli.console import notices_after
from charrnn.cli.escapes import each_unescaped, unescaped
from charrnn.engines import AUTO, WEIGHTS
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api.generation import How
    from charrnn.api.sampling import Which


def sample(
    run: o.RunOrFile = None,
    temp: g.Temperatures = None,
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
    documents: g.Documents = None,
    count: g.Count = None,
    prime: g.Prime = None,
    prime_file: g.PrimeFile = None,
    no_prime: g.NoPrime = False,
    unknown: o.Unknown = None,
    encoding: o.EncodingOfText = None,
    allow: g.Allow = None,
    forbid: g.Forbid = None,
    no_repeat: g.NoRepeat = None,
    clamp: g.Clamp = None,
    unique: g.Unique = False,
    novel: g.Novel = False,
    novel_to: g.NovelTo = None,
    min_length: g.MinLength = None,
    max_length: g.MaxLength = None,
    sort: g.Sort = False,
    cells: o.Cells = None,
    engine: o.EngineOfUse = AUTO,
    weights: o.Weights = WEIGHTS[0],
    seed: Annotated[int | None, o.Seed.__metadata__[0]] = None,
    ids: g.Ids = False,
    jsonl: o.AsJsonl = False,
    csv: g.Csv = False,
    output: g.Output = None,
    show_surprisal: g.ShowSurprisal = False,
) -> None:
    """Sample new text and print it while it is generated.

    --jsonl and --show-surprisal use the probabilities of the model itself: at temperature 1 and before any filter.
    """
    from charrnn.api.generation import best_of_drawn, several
    from charrnn.cli.views.sample_files import files_of
    from charrnn.cli.views.samples import Form, Output

    model = g.held(loaded(run, engine, weights), clamp)
    of_bytes, of_lines = model.text.bytes, model.text.one_per_line
    stops = each_unescaped(until, of_bytes)
    if no_prime and not prime and prime_file is None:
        raise CharRNNError("--no-prime has no effect without a prime.", hint="Add --prime, or leave out --no-prime.")
    primes = [prime_ids(model, one, prime_file, unknown, encoding) for one in dict.fromkeys(prime or [""])]
    heats: list[float | None] = list(dict.fromkeys(temp)) if temp else [None]
    how: How = {
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical": typical,
        "until": stops,
        "keep_until": keep_until,
        "lines": lines,
        "documents": documents,
        "allow": unescaped(allow, of_bytes),
        "forbid": unescaped(forbid, of_bytes),
        "no_repeat": no_repeat,
        "seed": seed,
    }
    which: Which = {"unique": unique, "novel": novel, "novel_to": novel_to or (), "sort": sort}
    which |= {"min_length": min_length, "max_length": max_length}
    one_line = (of_lines and (lines or documents or not stops)) or lines == 1 or "\n" in stops
    headed = [name for name, more in (("prime", primes[1:]), ("temperature", heats[1:])) if more]
    marker = "" if lines or (stops and not documents) else model.text.documents_between or ""
    ending = (bool(one_line), keep_until and "\n" in stops, not no_prime)
    form = Form(jsonl, csv, ids, show_surprisal, best, *ending, headed, marker, with_marker=bool(marker and documents))
    many = 1 if count is None else count
    files = files_of(output, many * several(model.network, how) * len(primes) * len(heats), csv or best is not None)
    apart = model.text.divided and (documents or count or (of_lines and lines))
    with Output(model, form, primes, model.read_as(encoding).encoding, files) as out:
        if beam is not None:
            if count not in (None, 1) or any(which.values()):
                raise CharRNNError(
                    "--beam searches for the likeliest texts, so it cannot be combined with --count, --unique, "
                    "--novel, --min-length, --max-length or --sort.",
                    hint="To print several texts of a search, use --best.",
                )
            how["temperature"] = heats[0]
            out.samples(chain.from_iterable(model.n_best(beam, best or 1, length, prime=one, **how) for one in primes))
        elif best is not None:
            raise best_of_drawn()
        elif out.streams and many == 1 and not (headed or any(which.values()) or apart):
            how["temperature"] = heats[0]
            with notices_after():
                out.stream(model.characters(length, prime=primes[0], with_nats=show_surprisal, **how))
        else:
            from charrnn.cli.views.reading import Reading

            with Reading() as reading:
                asked: Which = {**how, **which, "encoding": encoding, "watch": reading.show}
                made = model.samples_of(primes, heats, many, length, **asked)
            out.samples(made)
