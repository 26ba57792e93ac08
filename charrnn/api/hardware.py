"""Where a run is trained: the backend, the device and the processes. They are not stored in the run."""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.api.given import check_given
from charrnn.engines import AUTO
from charrnn.errors import CharRNNError
from charrnn.text.sources import STDIN, comes_once
from charrnn.training.backends.choice import check_device, check_processes, choose
from charrnn.training.backends.contract import Backend
from charrnn.training.backends.engines import check_engine
from charrnn.training.backends.jax.distributed import Processes, among


@dataclass(frozen=True)
class Place:
    """A backend (None: that of KERAS_BACKEND, of the run, or the default), a device, the processes, and an engine."""

    backend: str | None
    device: str
    processes: Processes
    engine: str = AUTO

    def choose(self, recorded: str | None = None) -> Backend:
        """Choose the backend, and return it; `recorded` is the backend of a run that is resumed."""
        chosen = choose(self.backend, recorded)
        check_processes(self.processes)
        return chosen

    def check_texts(self, sources: Sequence[str]) -> None:
        """Raise CharRNNError if the processes cannot all read these texts."""
        once = [source for source in sources if comes_once(source)]
        if self.processes.count > 1 and once:
            raise CharRNNError(
                f"Several processes cannot all read {'stdin' if once[0] == STDIN else once[0]}, which can be read "
                "only once.",
                hint="Name a file that each process can read.",
            )


def place(
    backend: str | None,
    device: str,
    processes: int | None = None,
    process_id: int | None = None,
    coordinator: str | None = None,
    engine: str = AUTO,
) -> Place:
    """Return the place that the parameters name; raise CharRNNError if it is not available."""
    check_given(
        backend=backend,
        device=device,
        engine=engine,
        processes=processes,
        process_id=process_id,
        coordinator=coordinator,
    )
    check_device(device)
    check_engine(engine)
    return Place(backend, device, among(processes, process_id, coordinator), engine)
