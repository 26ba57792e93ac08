"""`charrnn eval`: measures how well a model predicts a text."""

import math
from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import loaded, say_if_typed, split_run
from charrnn.cli.console import write_data
from charrnn.errors import CharRNNError


def eval(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE] [TEXT]",
            help="A run or checkpoint (default: the best of the newest run), then text files, folders, or - for stdin. "
            "With --part: no text.",
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="Instead of a text, evaluate a held-out part of the run: validation or test, as at the end of "
            "training.",
        ),
    ] = None,
    include: o.Include = None,
    field: o.Field = None,
    label_field: o.LabelField = None,
    encoding: o.EncodingOfText = None,
    errors: o.ErrorsOfText = None,
    cells: o.Cells = None,
    unknown: o.Unknown = None,
    as_json: o.AsJson = False,
) -> None:
    """Measure how well a model predicts a text.

    Prints the bits and nats per character and the perplexity, computed over the whole text. For a model of labels, the
    text is labelled as in training; the fraction of the labels that is right is printed, and which were mistaken.
    """
    from charrnn.api.given import check_unknown
    from charrnn.cli.views.reading import Reading

    check_unknown(unknown)
    given = arguments or []
    if part is not None:
        if len(given) > 1 or include or field or label_field or encoding or errors or unknown:
            raise CharRNNError(
                "--part evaluates a part of the run's own text, which is read as in training.",
                hint=f"Leave out everything else: charrnn eval RUN --part {part}",
            )
        run = given[0] if given else None
    else:
        run, sources = split_run(given)
        if not sources:
            raise CharRNNError(
                "No text was named.", hint=f"Name one: charrnn eval {given[0] if given else 'RUN'} TEXT, or use --part."
            )
        say_if_typed(sources)
    model = loaded(run)
    with Reading() as reading:
        if part is not None:
            evaluation = model.evaluate_part(part, watch=reading.show)
        else:
            evaluation = model.evaluate(
                sources,
                include=include or (),
                field=field,
                label_field=label_field,
                encoding=encoding,
                errors=errors,
                unknown=unknown,
                watch=reading.show,
            )
    if as_json:
        labels = {} if model.config.classes is None else {"labels": list(model.config.classes)}
        write_data(json_text({**evaluation.to_json(), **labels, "run": model.run}))
    elif evaluation.accuracy is not None:
        from charrnn.cli.views.confusion import write_labels

        write_labels(evaluation, model.config.classes or ())
    else:
        unit = evaluation.unit
        numbers = {
            f"bits per {unit}": evaluation.bits_per_char,
            f"nats per {unit}": evaluation.nats_per_char,
            f"perplexity per {unit}": evaluation.perplexity,
            # For a model of bytes, this equals the first row.
            "bits per byte": evaluation.bits_per_char if unit == "byte" else evaluation.bits_per_byte,
        }
        rows = [(f"{unit}s", f"{evaluation.characters:,}")]
        rows += [(label, "-" if math.isnan(number) else f"{number:.4f}") for label, number in numbers.items()]
        write_data("".join(f"{label:<26}{value}\n" for label, value in rows))
