"""Where `charrnn train` computes: on which device, in how many processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.console import hush
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.training.backends.jax.distributed import Processes

# The options that say it; a run does not keep them.
PLACE = ("device", "processes", "process_id", "coordinator")


@dataclass(frozen=True)
class Place:
    """A device, and which process this is of those that train together."""

    device: str
    processes: "Processes"

    def check_texts(self, sources: Sequence[str]) -> None:
        """Raise CharRNNError if the processes cannot all read these texts."""
        from charrnn.text.sources import STDIN

        if self.processes.count > 1 and STDIN in sources:
            raise CharRNNError(
                "Several processes cannot all read stdin.", hint="Name a file that every one of them can read."
            )


def place(device: str, processes: int | None, process_id: int | None, coordinator: str | None) -> Place:
    """Return what the options mean; CharRNNError if it cannot be had."""
    from charrnn.training.backends.choice import check_device, check_processes
    from charrnn.training.backends.jax.distributed import among

    check_device(device)
    which = among(processes, process_id, coordinator)
    check_processes(which)
    if not which.is_first:
        hush()
    return Place(device, which)
