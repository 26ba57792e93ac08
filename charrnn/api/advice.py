"""Honest advice before training: whether a text can be learnt, and whether a model's size suits it."""

from dataclasses import replace

from charrnn.config import ModelConfig
from charrnn.network.parameters import parameter_count
from charrnn.text.text import Text

# Training characters a parameter. With dropout and the best checkpoint kept, models far larger than the usual rule
# (one character a parameter) do no worse on a small text, only slower: docs/benchmarks.md, "How large a model".
FEW, PLENTY = 0.05, 30.0
UNITS = (16, 32, 64, 128, 256, 512, 1024)
# A text of more different characters than there are bytes, each so rare on average, is most likely no text as it was
# read: 20,000 characters of Chinese poems have some 2,000 different ones, and 10 of each.
MANY, RARE = 256, 5.0


def advice(characters: int, model: ModelConfig, vocab_size: int) -> str | None:
    """Return what to say of a model that is far too large or small for so many training characters, or None."""
    parameters = parameter_count(model, vocab_size)
    each = characters / parameters
    if FEW <= each <= PLENTY:
        return None
    wanted = FEW if each < FEW else 1.0
    fitting = [
        units for units in UNITS if characters >= wanted * parameter_count(replace(model, units=units), vocab_size)
    ]
    units = max(fitting, default=UNITS[0])
    ratio = f"{characters:,} characters to train on, {parameters:,} parameters: {_short(each)} a parameter"
    if each < FEW and units < model.units:
        return (
            f"{ratio}. The model will soon overfit, so its best checkpoint will come early. `units={units}` would "
            "be about as good, and faster."
        )
    if each > PLENTY and units > model.units:
        return (
            f"{ratio}. A larger model could learn more from this text, if it gets the time: for example "
            f"`units={units}`."
        )
    return None


def rarity(text: Text) -> str | None:
    """Return what to say of a text whose characters hardly ever occur twice, or None."""
    distinct = len(text.symbols)
    if distinct <= MANY or len(text) >= RARE * distinct:
        return None
    once = int((text.counts == 1).sum())
    ways = "`min_count=2` replaces characters that occur once by one unknown symbol"
    if once == distinct:
        ways = "`min_count=2` would replace all of them"
    return (
        f"The text has {distinct:,} different characters among {len(text):,}: each occurs {len(text) / distinct:.1f} "
        f"times on average, and {once:,} of them only once. A model learns nothing about such rare characters, but "
        "each "
        f"has its own parameters. {ways}; `bytes=True` trains on bytes instead of characters; if the text looks "
        "different "
        "in an editor, name its `encoding`."
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1g}"
