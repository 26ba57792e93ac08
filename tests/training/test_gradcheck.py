"""The classic check of gradients, and that it can fail; the commands around cells."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.gradients import check_gradients
from charrnn.cells import CELLS
from charrnn.cli.app import app
from charrnn.config import STACKS, ModelConfig
from charrnn.network.parameters import parameter_count, parameter_shapes
from charrnn.training.backends.engine import scan
from charrnn.training.gradcheck import LIMIT, VOCAB, check, relative_error
from support.commands import charrnn_in
from support.representatives import REPRESENTATIVES, case

pytestmark = pytest.mark.trains


# A cell's own gradients are those of tests/training/test_scan.py; with these there is something around them.
AROUND = [name for name in REPRESENTATIVES if CELLS[name].zx_vectors or CELLS[name].raw or CELLS[name].mask]


# `make test` runs some of these with JAX too.
@pytest.mark.backend
@pytest.mark.parametrize(
    "name, embedding, stack",
    [
        *(case(name, None, "plain", fast=name in AROUND, on_jax=name == "lstm-layernorm") for name in CELLS),
        *(case(name, 2, "plain", fast=name == "lstm") for name in ("lstm", "lstm-mogrifier", "lstm-layernorm")),
        *(case("lstm", 2, stack, fast=stack == "grid") for stack in STACKS[1:]),
        *(case(name, None, stack, fast=False) for stack in STACKS[1:] for name in ("rnn", "gru")),
        case("lstm-layernorm", None, "gated-feedback", fast=False),
        case("slstm", None, "gated-feedback", on_jax=True),
    ],
)
def test_every_gradient_of_every_cell_is_right(name, embedding, stack):
    model = ModelConfig(name, 2, 2, embedding, stack)
    for engine in ("framework", "compiled"):
        # With some seeds a relu stands at its kink within the differences.
        found = list(check(model, 4, engine))
        assert {parameter: shape for parameter, shape, _ in found} == parameter_shapes(model, VOCAB)
        assert max(error for *_, error in found) < LIMIT, (engine, found)


@pytest.mark.backend
@pytest.mark.parametrize(
    "model",
    [
        # Less and more than the window of 6.
        ModelConfig("lstm", 2, 4, attention=3),
        ModelConfig("gru", 2, 4, classes=("a", "b", "c")),
        case(ModelConfig("gru", 3, 4, 2, "residual", attention=8), fast=False),
        case(ModelConfig("rnn", 1, 4, attention=6), fast=False),
        case(ModelConfig("lstm", 2, 8, attention=3), fast=False),
        case(ModelConfig("lstm", 2, 4, None, "grid", attention=2), fast=False),
    ],
)
def test_every_gradient_of_attention_is_right(model):
    for engine in ("framework", "compiled"):
        found = list(check(model, 4, engine))
        assert {parameter: shape for parameter, shape, _ in found} == parameter_shapes(model, VOCAB)
        assert max(error for *_, error in found) < LIMIT, (engine, found)


@pytest.mark.backend
def test_a_wrong_derivative_is_noticed(monkeypatch):
    rules = sys.modules[scan.__module__].FROM_VALUE
    monkeypatch.setitem(rules, "tanh", lambda y, dy: dy * (1 - y * y * 1.0001))
    errors = {name: error for name, _, error in check(ModelConfig("lstm", 1, 2))}
    assert errors["layer0/U"] > LIMIT and errors["layer0/W"] > LIMIT and errors["output/W"] < LIMIT


def test_the_measure_of_errors():
    assert relative_error(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert relative_error(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.2 / 2.2)
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    # Where all should be zero, anything else is wrong; rounding is not.
    assert relative_error(np.array([1.0]), np.array([1e-12])) == pytest.approx(1)
    assert relative_error(np.array([0.0]), np.array([1e-12])) < LIMIT
    # Of what is nothing beside the rest, rounding does not count.
    assert relative_error(np.array([1.0, 1e-12]), np.array([1.0, 0.0])) == pytest.approx(1e-8)


def test_the_commands(tmp_path):
    checked = charrnn_in(tmp_path, "gradcheck", "--cell", "mgu", "--units", 2, "--json")
    facts = json.loads(checked.stdout)
    assert checked.returncode == 0 and {fact["cell"] for fact in facts} == {"mgu"} and len(facts) == 10
    assert all(fact["ok"] is True for fact in facts)
    # JAX computes in float64.
    assert max(fact["error"] for fact in facts) < 1e-6
    refused = charrnn_in(tmp_path, "gradcheck", "--cell", "klingon")
    assert refused.returncode == 1 and "--cell is 'klingon'" in refused.stderr
    listed = json.loads(charrnn_in(tmp_path, "cells", "--units", 512, "--json").stdout)
    assert [fact["name"] for fact in listed] == list(CELLS)
    assert {fact["name"]: fact["parameters"] for fact in listed}["gru"] == parameter_count(
        ModelConfig("gru", 2, 512), 65
    )
    assert all(fact["equations"] for fact in listed)
    assert "c' = f * c + i * g; h' = o * tanh(c')." in listed[list(CELLS).index("lstm")]["equations"]
    table = charrnn_in(tmp_path, "cells").stdout.decode().splitlines()
    assert len(table) == 1 + len(CELLS) and any("Hochreiter & Schmidhuber 1997" in line for line in table)
    one = charrnn_in(tmp_path, "cells", "lstm-peephole").stdout.decode()
    assert "c' = f * c + i * g" in one and "p_o (256,)" in one and "U (256, 1024)" in one
    assert "no cell or stack 'klingon'" in charrnn_in(tmp_path, "cells", "klingon").stderr
    assert "Did you mean lstm?" in charrnn_in(tmp_path, "cells", "lstn").stderr
    assert "U_depth (256, 1024)" in charrnn_in(tmp_path, "cells", "lstm", "--stack", "grid").stdout.decode()
    stacked = json.loads(charrnn_in(tmp_path, "cells", "--stack", "gated-feedback", "--json").stdout)
    assert {fact["name"] for fact in stacked if fact["parameters"] is None} >= {"mingru", "clockwork", "irnn"}
    (one,) = json.loads(charrnn_in(tmp_path, "cells", "gated-feedback", "--json").stdout)
    assert one["name"] == "gated-feedback" and "Chung et al. 2015" in one["equations"]


def test_all_cells_are_those_that_fit(monkeypatch):
    checked = []
    monkeypatch.setattr("charrnn.training.gradcheck.check", lambda model, *more: checked.append(model.cell) or ())
    for layers in (1, 2):
        list(check_gradients(None, layers, 2, None, "plain", 0))
    below = [name for name, cell in CELLS.items() if cell.lowest]
    assert below and checked == [name for name in CELLS if name not in below] + list(CELLS)


def test_a_wrong_gradient_ends_the_command_with_1(monkeypatch):
    found = [("layer0/U", (2, 2), LIMIT / 2), ("layer0/b", (2,), LIMIT)]
    monkeypatch.setattr("charrnn.training.gradcheck.check", lambda *model: iter(found))
    monkeypatch.setattr("charrnn.training.backends.start.start", lambda shards, float64: shards)
    result = CliRunner().invoke(app, ["gradcheck", "--cell", "lstm"])
    assert result.stdout.splitlines()[0].split() == ["CELL", "PARAMETER", "SHAPE", "ERROR", "VERDICT"]
    assert result.exit_code == 1 and result.stdout.count("ok") == 1 and result.stdout.count("WRONG") == 1
    found.pop()
    assert CliRunner().invoke(app, ["gradcheck", "--stack", "grid"]).exit_code == 0


def test_masked_parameters_are_not_counted():
    # Of 8 modules of one unit each hears itself and the slower ones.
    assert parameter_count(ModelConfig("clockwork", 1, 8), 4) == parameter_count(ModelConfig("rnn", 1, 8), 4) - 28
