"""`charrnn baseline`: measures how well n-gram models predict the validation part of a text."""

from typing import Annotated

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.arguments import as_trained, say_if_typed, typed
from charrnn.cli.console import notify, write_data
from charrnn.cli.groups import held_out, reading, training_text, with_options
from charrnn.config import HIGHEST_ORDER, NGRAM_ORDER, TrainConfig

_T = TrainConfig()


@with_options(reading, training_text, held_out)
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
    seed: o.Seed = _T.seed,
    batch: Annotated[
        int, typer.Option("--batch", help="The number of streams of --split char-rnn: the batch size of training.")
    ] = _T.batch,
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

    given = as_trained({name: context.params[name] for name in typed(context) - {"as_json"}})
    say_if_typed(corpus)
    with Reading() as progress:
        found = measure(**given, notify=notify, watch=progress.show)
    if as_json:
        write_data(json_text(found.to_json()))
        return
    tell_what(found)
    write_data(shown(found))
