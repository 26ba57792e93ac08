"""charrnn: character-level recurrent language models, from the command line and from Python.

    run = charrnn.train("corpus.txt", minutes=3)
    model = charrnn.load(run.name)
    print(model.sample(500, temperature=0.8))

docs/api.md describes the rest. Everything is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name is defined.
_HOMES = {
    "Alignment": "charrnn.api.alignment",
    "Baseline": "charrnn.api.baseline",
    "CharRNNError": "charrnn.errors",
    "Comparing": "charrnn.api.comparing",
    "Comparison": "charrnn.api.comparison",
    "Evaluation": "charrnn.api.evaluation",
    "Filling": "charrnn.api.filling",
    "GradientFlow": "charrnn.api.gradient_reach",
    "Labelling": "charrnn.api.labelling",
    "Model": "charrnn.api.model",
    "ModelConfig": "charrnn.config",
    "NGrams": "charrnn.api.ngrams",
    "Neurons": "charrnn.inference.neurons",
    "Next": "charrnn.api.following",
    "Probe": "charrnn.api.probing",
    "ProbeReport": "charrnn.api.probe_report",
    "Rank": "charrnn.inference.guesses",
    "Report": "charrnn.api.report",
    "Run": "charrnn.api.runs",
    "Sample": "charrnn.api.generation",
    "Score": "charrnn.inference.lines",
    "Search": "charrnn.api.tuning",
    "Similar": "charrnn.api.similar",
    "TextConfig": "charrnn.config",
    "Threshold": "charrnn.api.calibration",
    "TrainConfig": "charrnn.config",
    "Training": "charrnn.api.session",
    "Tuning": "charrnn.api.tuned",
    "baseline": "charrnn.api.baseline",
    "compare": "charrnn.api.comparing",
    "compare_events": "charrnn.api.comparing",
    "events": "charrnn.api",
    "gradient_flow": "charrnn.api.gradient_flow",
    "inspect": "charrnn.api.inspection",
    "list_runs": "charrnn.api.runs",
    "load": "charrnn.api.model",
    "load_comparison": "charrnn.api.comparison",
    "probe": "charrnn.api.fitting",
    "report": "charrnn.api.report",
    "resume": "charrnn.api.training",
    "resume_events": "charrnn.api.training",
    "train": "charrnn.api.training",
    "train_events": "charrnn.api.training",
    "tune": "charrnn.api.tuning",
    "tune_events": "charrnn.api.tuning",
}
__all__ = [
    "Alignment",
    "Baseline",
    "CharRNNError",
    "Comparing",
    "Comparison",
    "Evaluation",
    "Filling",
    "GradientFlow",
    "Labelling",
    "Model",
    "ModelConfig",
    "NGrams",
    "Neurons",
    "Next",
    "Probe",
    "ProbeReport",
    "Rank",
    "Report",
    "Run",
    "Sample",
    "Score",
    "Search",
    "Similar",
    "TextConfig",
    "Threshold",
    "TrainConfig",
    "Training",
    "Tuning",
    "__version__",
    "baseline",
    "compare",
    "compare_events",
    "events",
    "gradient_flow",
    "inspect",
    "list_runs",
    "load",
    "load_comparison",
    "probe",
    "report",
    "resume",
    "resume_events",
    "train",
    "train_events",
    "tune",
    "tune_events",
]

if TYPE_CHECKING:
    from charrnn.api import events
    from charrnn.api.alignment import Alignment
    from charrnn.api.baseline import Baseline, baseline
    from charrnn.api.calibration import Threshold
    from charrnn.api.comparing import Comparing, compare, compare_events
    from charrnn.api.comparison import Comparison, load_comparison
    from charrnn.api.evaluation import Evaluation
    from charrnn.api.filling import Filling
    from charrnn.api.fitting import probe
    from charrnn.api.following import Next
    from charrnn.api.generation import Sample
    from charrnn.api.gradient_flow import gradient_flow
    from charrnn.api.gradient_reach import GradientFlow
    from charrnn.api.inspection import inspect
    from charrnn.api.labelling import Labelling
    from charrnn.api.model import Model, load
    from charrnn.api.ngrams import NGrams
    from charrnn.api.probe_report import ProbeReport
    from charrnn.api.probing import Probe
    from charrnn.api.report import Report, report
    from charrnn.api.runs import Run, list_runs
    from charrnn.api.session import Training
    from charrnn.api.similar import Similar
    from charrnn.api.training import resume, resume_events, train, train_events
    from charrnn.api.tuned import Tuning
    from charrnn.api.tuning import Search, tune, tune_events
    from charrnn.config import ModelConfig, TextConfig, TrainConfig
    from charrnn.errors import CharRNNError
    from charrnn.inference.guesses import Rank
    from charrnn.inference.lines import Score
    from charrnn.inference.neurons import Neurons


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that no command loads names that it does not need."""
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    value = import_module(f"{_HOMES[name]}.{name}") if name == "events" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
