"""Older and foreign names of options, and what they lead to."""

import typer

from charrnn.cli.aliases import ALIASES
from charrnn.cli.app import COMMANDS, app


def options_of(name):
    command = typer.main.get_command(app).get_command(None, name)
    return {option for param in command.params for option in (*param.opts, *param.secondary_opts)}


def parsed(name, *words):
    """Return the parameters of a command as these words set them."""
    group = typer.main.get_command(app)
    return group.get_command(None, name).make_context(name, list(words), resilient_parsing=False).params


def test_every_alias_leads_to_an_option_and_is_none_itself():
    by_command = {name: options_of(name) for name in COMMANDS}
    every = set().union(*by_command.values())
    assert {today for today in ALIASES.values() if f"--{today}" not in every} == set()
    for alias, today in ALIASES.items():
        assert "_" not in alias
        # Where a command has both, the alias would mean something else than in the others.
        both = [name for name, options in by_command.items() if {f"--{alias}", f"--{today}"} <= options]
        assert both == [], alias


def test_an_alias_sets_what_the_option_sets():
    train = parsed(
        "train",
        *("--batch-size", "3", "--seq_length=7", "--rnn_size", "5", "--num-layers", "4", "--learning_rate", "0.5"),
        *("--corpus-changed-ok", "--out", "elsewhere", "--clip_norm", "2", "--sum_gradients"),
    )
    assert (train["batch"], train["seq"], train["units"], train["layers"], train["lr"]) == (3, 7, 5, 4, 0.5)
    assert train["allow_changed_text"] and str(train["out"]) == "elsewhere"
    assert (train["clip_norm"], train["sum_gradients"]) == (2.0, True)
    assert not parsed("train", "--mean_gradients")["sum_gradients"]
    assert parsed("train", "--hidden-size", "6")["units"] == parsed("train", "--units", "6")["units"] == 6
    assert parsed("sample", "--temperature", "0.5", "--top_k", "3", "-t", "0.25")["temp"] == (0.5, 0.25)
    assert str(parsed("runs", "--out", "elsewhere")["out"]) == "elsewhere"


def test_help_does_not_name_aliases():
    for name in COMMANDS:
        assert not {f"--{alias}" for alias in ALIASES} & options_of(name) - ({"--lines"} if name == "sample" else set())
