"""Honest advice before training: whether a model's size suits its text."""

from dataclasses import replace

from charrnn.config import ModelConfig
from charrnn.network.parameters import parameter_count

# Training characters a parameter. With dropout and the best checkpoint kept, models far larger than the usual rule
# (one character a parameter) do no worse on a small text, only slower: docs/benchmarks.md, "How large a model".
FEW, PLENTY = 0.05, 30.0
UNITS = (16, 32, 64, 128, 256, 512, 1024)


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
            f"{ratio}. The text will soon be known by heart, and the best checkpoint come early; `units={units}` would "
            "be about as good, and faster."
        )
    if each > PLENTY and units > model.units:
        return f"{ratio}. The text could teach a larger model more, given the time: `units={units}`, say."
    return None


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1g}"
