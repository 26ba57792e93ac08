"""What --help prints: sections, the list of commands, examples."""

import re

import pytest
import typer

from charrnn.cli.app import COMMANDS, app
from charrnn.cli.examples import EXAMPLES
from charrnn.cli.sections import OPTIONS
from support.examples import ONLY_PARSED, lay_out, run


def helped(name="charrnn", width=78):
    """Return the help of a command; 78 is what a terminal of 80 columns gets."""
    group = typer.main.get_command(app)
    context = group.make_context("charrnn", [], resilient_parsing=True, terminal_width=width)
    if name == "charrnn":
        return group.get_help(context)
    command = group.get_command(context, name)
    return command.get_help(command.make_context(name, [], parent=context, resilient_parsing=True))


@pytest.mark.parametrize("name", ["charrnn", *COMMANDS])
def test_a_page_is_plain_and_fits_the_terminal(name):
    for width in (58, 78):
        lines = helped(name, width).splitlines()
        above, examples = lines[: lines.index("Examples:")], lines[lines.index("Examples:") :]
        # What is typed is never broken.
        assert max(map(len, above)) <= width and max(map(len, examples)) <= 78
        assert not any(line != line.rstrip() or re.search(r"<(int|float|str|path)|[<>]=|\w-$", line) for line in above)
    assert lines[0].startswith("Usage: charrnn") and "  -h, --help" in "\n".join(lines)


def test_the_list_of_commands_is_in_sections_and_whole():
    page = helped()
    titles = ["Train", "Use", "Vectors and units", "Inspect", "Machine", "Options", "Examples"]
    assert re.findall(r"^([A-Z][\w ]+):$", page, re.M) == titles
    listed = dict(re.findall(r"^  (\w+) +(\S.*)$", page.partition("Options:")[0], re.M))
    # The first line of the page has the form of a command, too.
    listed.pop("Train")
    assert set(COMMANDS) == set(listed)
    # A sentence each, which was not cut.
    assert all(re.fullmatch(r"[A-Z].*[a-z]\.", said) and "..." not in said for said in listed.values())


def test_options_of_long_commands_are_in_sections():
    group, by_command = typer.main.get_command(app), {}
    for name in COMMANDS:
        params = group.get_command(None, name).params
        by_command[name] = {max(param.opts, key=len) for param in params if param.param_type_name == "option"}
    assert set(OPTIONS) == {name for name, options in by_command.items() if len(options) > 12}
    for name, sections in OPTIONS.items():
        named = [option for options in sections.values() for option in options]
        assert len(named) == len(set(named)), name
        assert set(named) == by_command[name] - {"--help"}, name
    titles = ["Often used", "Text", "Model", "Training", "Budget", "The run and its output", "Devices", "Options"]
    assert re.findall(r"^([A-Z][\w ]+):$", helped("train"), re.M) == ["Arguments", *titles, "Examples"]


def test_an_option_without_a_section_is_shown_last(monkeypatch):
    monkeypatch.setitem(OPTIONS, "sample", {"Chosen": ("--temp", "--no-such"), "Empty": ("--none",)})
    page = helped("sample")
    assert re.findall(r"^(\w+):$", page, re.M) == ["Arguments", "Chosen", "Options", "Examples"]
    assert page.index("--temp") < page.index("\nOptions:") < page.index("--top-k") < page.index("-h, --help")


def test_an_option_shows_its_value_and_its_default():
    page = " ".join(helped("train").split())
    for shown in (
        "--layers INTEGER Number of layers. [default: 2]",
        "--dropout NUMBER Dropout rate of the outputs of each layer. [default: 0.3]",
        "[default: 10 if no other budget is given]",
        "[default: --mean-gradients]",
        "--seed INTEGER Seed of all random numbers. [default: 0]",
        "--vocab FILE",
        "--split NAME",
        "-q, --quiet",
    ):
        assert shown in page


# Examples


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("examples"))


def examples():
    return [line for text in EXAMPLES.values() for line in text.splitlines() if line and not line.startswith("#")]


def test_every_command_has_two_or_three_examples_each_with_a_comment():
    assert list(EXAMPLES) == ["charrnn", *COMMANDS]
    for name, text in EXAMPLES.items():
        assert 2 <= text.count("\n# ") <= 3 and text.startswith("\n# ")
        assert 2 <= len(re.findall(r"^(?!#).+", text, re.M)) <= 4
        assert name == "charrnn" or all(f"charrnn {name}" in line for line in re.findall(r"^(?!#).+", text, re.M))
        assert text.strip() in "\n".join(line.removeprefix("  ") for line in helped(name).splitlines())


@pytest.mark.parametrize("line", examples())
def test_an_example_does_what_it_says(line, place, monkeypatch, capfd):
    assert run(line, place, monkeypatch) == 0
    out, said = capfd.readouterr()
    assert out or said or line.startswith(ONLY_PARSED) or "--resume" in line
    assert "Traceback" not in said
