"""The child of a search in tests: a fake learner trains, so that a trial takes a moment; all else is real.

The loss depends on the settings, and on how far training is. With a batch of 128 a trial is refused by its learner, and
with the batch that the environment's DIES names its process dies.
"""

import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.api import apart
from charrnn.errors import CharRNNError
from charrnn.training.learner_protocol import Estimate

CODE = f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r}); "
CODE += "from support.fake_child import train; train(input_fd)"


def quality(lr: float, dropout: float) -> float:
    """Return the part of the loss that training does not lower."""
    return 1 + abs(math.log(lr / 0.009)) + dropout


def train(writing: int) -> None:
    """Do what `charrnn.api.apart.child` does, without a backend."""
    import charrnn.api.session
    from charrnn.api.evaluation import Evaluation
    from charrnn.api.events import Measured
    from charrnn.runs.checkpoint import read_header
    from support.fake_training import train_fakes

    def made(learner: Any, training: Any) -> None:
        config = training.job.config
        if config.batch == 128:
            raise CharRNNError("The learner refuses `batch=128`.")
        if str(config.batch) == os.environ.get("DIES"):
            os.kill(os.getpid(), signal.SIGKILL)

        def estimate() -> Estimate:
            return Estimate(quality(config.rate, config.dropout) + math.exp(-float(learner.slots["000"].mean())))

        learner.estimate = estimate

    def measured(run: Any, data: Any, history: Any) -> Any:
        header = read_header(run.best)
        yield Measured("validation", Evaluation(100, header.progress.best_nats), 100, 100, step=header.step)

    patch = pytest.MonkeyPatch()
    train_fakes(patch, made)
    patch.setattr(charrnn.api.session, "measured", measured)
    apart.child(writing)


if __name__ == "__main__":
    # A whole search, which a test may kill: the arguments of `tune`, as Python.
    from charrnn.api.tuning import tune

    apart._CHILD = CODE
    tune(**eval(sys.argv[1]))
