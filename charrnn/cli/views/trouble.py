"""The messages of training about what went wrong and did not end it."""

from typing import TYPE_CHECKING

from charrnn.cli.console import as_options, printable

if TYPE_CHECKING:
    from charrnn.api.events import FolderMade, RolledBack, SaveFailed


def told(event: "SaveFailed | FolderMade | RolledBack") -> str:
    """Return the message about an event."""
    from charrnn.api import events

    match event:
        case events.SaveFailed(step, error):
            why = printable(as_options(error.message))
            return f"Not saved after step {step:,}: {why} Training continues in memory."
        case events.FolderMade(path):
            return f"The folder of the run was moved or removed: it was made again at {printable(str(path))}."
        case events.RolledBack(step, why, rate_scale):
            return (
                f"Training went wrong: {printable(why)}. It continues from step {step:,} with "
                f"{rate_scale:g} times the learning rate."
            )
