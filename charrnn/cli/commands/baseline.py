"""`charrnn baseline`: measures how well n-gram models predict the validation part of a text."""

from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli import training as t
from charrnn.cli.arguments import as_trained, say_if_typed, typed
from charrnn.cli.console import notify, write_data
from charrnn.config import DEFAULT_TEXT, HIGHEST_ORDER, NGRAM_ORDER, TrainConfig

_T = TrainConfig()


def baseline(
    context: typer.Context,
    corpus: o.Texts,
    order: Annotated[
        int,
        typer.Option(
            "--order",
            metavar="N",
            min=1,
            max=HIGHEST_ORDER,
            help="The highest order: a model of order N predicts a character from the N - 1 before it.",
        ),
    ] = NGRAM_ORDER,
    as_json: o.AsJson = False,
    split: t.Split = _T.split,
    val: t.Val = _T.val,
    val_file: t.ValFile = None,
    test: t.Test = _T.test,
    seed: o.Seed = _T.seed,
    batch: Annotated[
        int, typer.Option("--batch", help="The number of streams of --split char-rnn: the batch size of training.")
    ] = _T.batch,
    include: o.Include = None,
    encoding: o.Encoding = DEFAULT_TEXT.encoding,
    errors: o.Errors = DEFAULT_TEXT.errors,
    newlines: o.Newlines = DEFAULT_TEXT.newlines,
    normalize: o.Normalize = DEFAULT_TEXT.normalize,
    lower: o.Lower = DEFAULT_TEXT.lower,
    bytes: o.Bytes = DEFAULT_TEXT.bytes,
    field: o.Field = DEFAULT_TEXT.field,
    one_per_line: t.OnePerLine = DEFAULT_TEXT.one_per_line,
    documents_between: o.DocumentsBetween = DEFAULT_TEXT.documents_between,
    separator: t.Separator = DEFAULT_TEXT.separator,
    reset_at_documents: t.ResetAtDocuments = DEFAULT_TEXT.reset_at_documents,
    loss_after: t.LossAfter = DEFAULT_TEXT.loss_after,
    reverse: t.Reverse = DEFAULT_TEXT.reverse,
    vocab: t.Vocab = None,
    min_count: t.MinCount = 1,
) -> None:
    """Measure how well n-gram models predict a text.

    The models are trained on the part of the text on which `charrnn train` would train a network with the same options,
    and predict the part on which it would validate it. So their bits per character can be compared with those of the
    network, which should need fewer. The models are interpolated Kneser-Ney, with three discounts for each order. bzip2
    and xz, which see only the held-out text, are shown too.
    """
    from charrnn.api.baseline import baseline as measure
    from charrnn.cli.views.baseline import shown, tell_what
    from charrnn.cli.views.reading import Reading

    given = {name: context.params[name] for name in typed(context) - {"as_json"}}
    for name in given.keys() & {"documents_between", "separator", "loss_after"}:
        given[name] = as_trained(given[name], bytes)
    say_if_typed(corpus)
    with Reading() as reading:
        found = measure(**given, notify=notify, watch=reading.show)
    if as_json:
        write_data(json_text(found.to_json()))
        return
    tell_what(found)
    write_data(shown(found))
