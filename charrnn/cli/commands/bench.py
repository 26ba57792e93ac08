"""`charrnn bench`: measures how fast this machine trains and samples a given model."""

from typing import Annotated, Any

import typer

from charrnn.api.json_text import json_text
from charrnn.cli import options as o
from charrnn.cli.console import say, write_data
from charrnn.config import ModelConfig, TrainConfig

_M, _T = ModelConfig(), TrainConfig()


def bench(
    corpus: Annotated[
        list[str] | None, typer.Argument(metavar="CORPUS", help="Estimate the time of one epoch of this text.")
    ] = None,
    cell: o.CellName = _M.cell,
    cells: o.Cells = None,
    layers: o.Layers = _M.layers,
    units: o.Units = _M.units,
    embedding: o.Embedding = _M.embedding,
    stack: o.Stack = _M.stack,
    attention: o.Attention = _M.attention,
    batch: o.Batch = _T.batch,
    seq: o.Seq = _T.seq,
    dropout: o.Dropout = _T.dropout,
    precision: o.Precision = _T.precision,
    backend: o.Backend = None,
    device: o.Device = "auto",
    engine: o.Engine = "auto",
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Seconds to train, and to sample.")] = 10.0,
    as_json: o.AsJson = False,
) -> None:
    """Measure how fast this machine trains and samples a model.

    The speed of training is also shown as a percentage of the machine's peak in float32.
    """
    from charrnn.api import benchmark
    from charrnn.api.hardware import place
    from charrnn.cli.views.reading import Reading
    from charrnn.errors import readable_by
    from charrnn.text.reader import read_text

    library = place(backend, device, engine=engine).choose().name
    model = ModelConfig(cell, layers, units, embedding, stack, attention)
    config = TrainConfig(batch=batch, seq=seq, dropout=dropout, precision=precision)
    with Reading() as reading, readable_by():
        text = read_text(corpus, watch=reading.show) if corpus else None
    vocab_size = len(text.symbols) if text else benchmark.VOCAB
    say("Measuring the peak speed of matrix products …")
    peak = benchmark.peak_gflops(library, device)
    say("Training …")
    trained = benchmark.train_speed(model, config, vocab_size, seconds, device, engine)
    say("Sampling …")
    sampled = benchmark.sample_speed(model, vocab_size, seconds)
    facts: dict[str, Any] = {
        "train_chars_per_second": trained,
        "sample_chars_per_second": sampled,
        "sgemm_gflops": peak,
        "peak_share": benchmark.peak_share(trained, model, vocab_size, peak),
    }
    if text:
        facts["epoch_seconds"] = len(text) / trained
    if as_json:
        write_data(json_text(facts))
        return
    lines = [
        ("training", f"{trained:,.0f} characters/s"),
        ("share of the peak", f"{facts['peak_share']:.0%} of {peak:,.0f} GFLOPS (float32 matrix products)"),
        ("sampling", f"{sampled:,.0f} characters/s, one text at a time"),
    ]
    if text:
        lines.append(("an epoch", f"{facts['epoch_seconds'] / 60:,.1f} minutes for {len(text):,} characters"))
    write_data("".join(f"{label:<20}{value}\n" for label, value in lines))
