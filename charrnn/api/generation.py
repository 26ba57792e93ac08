"""From options to how texts are generated, for the commands that do."""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.cli.console import printable, say
from charrnn.cli.options import unescaped
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.inference.generation import Ending, Generation
    from charrnn.inference.model import Model
    from charrnn.inference.sampling import Sampling


def generation(
    model: "Model",
    ending: "Ending",
    sampling: "Sampling",
    allow: str | None,
    forbid: str | None,
    no_repeat: int | None,
    seed: int | None,
) -> "Generation":
    """Return how texts are generated; without a seed, as never before."""
    from charrnn.inference.generation import Generation

    seed = secrets.randbits(63) if seed is None else seed
    return Generation(ending, sampling, _banned(model, allow, forbid, ending), no_repeat, seed)


def ending(model: "Model", length: int, until: Sequence[str], lines: int | None = None) -> "Ending":
    """Return where texts end; of a text of --until that the model cannot write, say so."""
    from charrnn.inference.generation import Ending
    from charrnn.text.decoding import prepare

    stops = []
    for text in until:
        stop = prepare(unescaped(text) or "", model.text)
        ids = model.vocab.table(stop).tolist()
        if not ids:
            raise CharRNNError("--until is empty; it must be a text to stop before.")
        if min(ids) < 0:
            say(printable(f"--until {text}: the model lacks some of its characters, so it will never write that."))
            continue
        stops.append(tuple(ids))
    line_break = model.vocab.symbols.index("\n") if "\n" in model.vocab.symbols else None
    if lines is not None and line_break is None:
        raise CharRNNError("--lines counts line breaks, and the model has never seen one.", hint="Use --length.")
    return Ending(length, tuple(stops), lines, line_break)


def _banned(model: "Model", allow: str | None, forbid: str | None, ending: "Ending") -> list[int]:
    """Return the ids that must not be drawn."""
    from charrnn.text.decoding import prepare

    vocab = model.vocab
    banned: set[int] = set()
    if allow is not None:
        allowed = set(vocab.table(prepare(unescaped(allow) or "", model.text)).tolist()) - {-1}
        if not allowed:
            raise CharRNNError(
                f"The model knows none of the characters of --allow {printable(allow)}.",
                hint="charrnn vocab RUN shows what it knows.",
            )
        allowed |= {id for stop in ending.stops for id in stop} | ({ending.line_break} if ending.lines else set())
        banned = set(range(len(vocab.symbols))) - allowed
    if forbid is not None:
        banned |= set(vocab.table(prepare(unescaped(forbid) or "", model.text)).tolist()) - {-1}
    if len(banned) == len(vocab.symbols):
        raise CharRNNError("--allow and --forbid leave no character to draw.", hint="Forbid fewer.")
    return sorted(banned)
