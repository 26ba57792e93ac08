"""Advice before training: whether a model can learn from a text, and whether its size fits the text."""

from dataclasses import replace

from charrnn.config import ModelConfig
from charrnn.network.parameters import parameter_count
from charrnn.text.text import Text

# Training characters per parameter. With dropout, and if the best checkpoint is kept, a model that is far larger than
# the usual rule says (one character per parameter) is not worse on a small text, only slower: docs/benchmarks.md, "How
# large a model".
FEW, PLENTY = 0.05, 30.0
UNITS = (16, 32, 64, 128, 256, 512, 1024)
# A text with more different characters than there are bytes, which are this rare on average, was most likely not read
# as a text should be: 20,000 characters of Chinese poems have about 2,000 different ones, each 10 times.
MANY, RARE = 256, 5.0


def advice(characters: int, model: ModelConfig, vocab_size: int) -> str | None:
    """Return advice if a model is far too large or too small for this many training characters, or else None."""
    parameters = parameter_count(model, vocab_size)
    each = characters / parameters
    if FEW <= each <= PLENTY:
        return None
    wanted = FEW if each < FEW else 1.0
    fitting = [
        units for units in UNITS if characters >= wanted * parameter_count(replace(model, units=units), vocab_size)
    ]
    units = max(fitting, default=UNITS[0])
    ratio = f"{characters:,} characters to train on, {parameters:,} parameters: {_short(each)} per parameter"
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
    """Return a warning if the characters of a text hardly ever occur twice, or else None."""
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
        f"each has its own parameters. {ways}. `bytes=True` trains on bytes instead of characters. If the text looks "
        "different in an editor, name its `encoding`."
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1g}"
