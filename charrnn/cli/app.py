"""The `charrnn` command: combines the subcommands, and turns errors into messages and exit codes."""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn import __version__
from charrnn.cli import signals
from charrnn.cli.aliases import todays
from charrnn.cli.console import FOUND, say, show_error
from charrnn.cli.sections import COMMANDS as SECTIONS
from charrnn.cli.usage import explained, unknown_command
from charrnn.errors import CharRNNError

# If this variable is set, a shell wants to complete a command line; only then is the code for that imported.
COMPLETION = "_CHARRNN_COMPLETE"
# In the order of `charrnn --help`: each command is the function of this name in the module of this name.
COMMANDS = tuple(name for names in SECTIONS.values() for name in names)

_PLAIN: Any = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False}


class Command(TyperCommand):
    """A command with our own layout of the help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; Typer's context and formatter have no public types."""
        # Imported here, because only --help needs it.
        from charrnn.cli.help import page

        formatter.write(page(self, ctx, formatter.width))


class Commands(TyperGroup):
    """The commands; a command's module is imported, and its options are built, only when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Typer uses these keys for lists and suggestions.
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Return the context of the command line; a mistake in it is a CharRNNError."""
        with explained():
            return super().make_context(*arguments, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a mistake in its options is a CharRNNError."""
        with explained():
            return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the remaining arguments; no arguments, or `charrnn help [COMMAND]`, ask for help."""
        if args[:1] in ([], ["help"]):
            args = [*args[1:2], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, and the arguments after it."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown_command(args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"charrnn.cli.commands.{cmd_name}")
        alone = typer.Typer(**_PLAIN)
        alone.command(cls=Command)(getattr(module, cmd_name))
        command = typer.main.get_command(alone)
        options = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
        command.context_settings = {**command.context_settings, "token_normalize_func": todays(options)}
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: the commands in sections, each with the first sentence of its own help."""
        from charrnn.cli.help import page, summary

        commands = {
            title: [
                (name, summary(getattr(import_module(f"charrnn.cli.commands.{name}"), name).__doc__)) for name in names
            ]
            for title, names in SECTIONS.items()
        }
        formatter.write(page(self, ctx, formatter.width, commands))


app = typer.Typer(
    name="charrnn",
    help="Train and use character-level recurrent language models.",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_PLAIN,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"charrnn {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def charrnn(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion", help="Install completion of commands, options and runs for bash, zsh or fish."
        ),
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", help="Print the script that --install-completion installs.")
    ] = False,
) -> None:
    if install_completion or show_completion:
        from charrnn.cli import shells

        do = shells.install if install_completion else shells.show
        do()
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
    # Training must save its run when a signal comes, so it installs its own handlers.
    if context.invoked_subcommand != "train":
        signals.restore_defaults()


def main() -> None:
    """Run the command line; exit with 0, 1 (an error with a message, or a failed check) or 130 (Ctrl-C).

    `score --exit-code` exits with 3 if it finds lines. A wrong option is an error like any other: whether Typer or the
    library notices it makes no difference.
    """
    _open_closed_descriptors()
    if shell := os.environ.get(COMPLETION):
        from charrnn.cli.completion import answer

        sys.exit(answer(typer.main.get_command(app), shell, sys.argv[1:]))
    try:
        try:
            app(prog_name="charrnn")
        finally:
            # At exit Python would write what is left, and print an error of its own.
            sys.stdout.flush()
    except CharRNNError as error:
        show_error(error)
        sys.exit(1)
    except MemoryError as error:
        show_error(
            CharRNNError(
                f"There is not enough memory: {str(error) or 'an array could not be made'}.",
                hint="Use fewer --units or --layers, or a smaller --batch.",
            )
        )
        sys.exit(1)
    except BrokenPipeError as error:
        _leave_quietly(getattr(error.__context__, "code", 0))
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(130)
    except SystemExit as exit:
        # Typer catches these two exceptions itself; only the context of its SystemExit shows them.
        if _came_of(exit, BrokenPipeError):
            _leave_quietly(exit.code)
        if _came_of(exit, KeyboardInterrupt):
            say("Interrupted.")
        raise
    except OSError as error:
        show_error(CharRNNError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."))
        _drop_output()
        sys.exit(1)


def _came_of(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether an exception was raised while an exception of `kind` was being handled."""
    return error is not None and (isinstance(error, kind) or _came_of(error.__context__, kind))


def _leave_quietly(code: Any) -> None:
    """Exit without a message: the reader of our output, for example head, has ended, and that is not an error."""
    _drop_output()
    sys.exit(FOUND if code == FOUND else 0)


def _drop_output() -> None:
    """Send what is still to be written to stdout to the null device if nothing more can be written there."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _open_closed_descriptors() -> None:
    """Open the null device in place of closed standard streams, so that no data file gets one of their descriptors."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
