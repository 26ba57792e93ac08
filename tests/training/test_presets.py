"""Two steps of every preset: what it asks for is what a learner can do."""

import os
import subprocess
import sys

import pytest

from charrnn.api.presets import PRESETS
from charrnn.runs.checkpoint import read_checkpoint

SMALL = {"units": 8, "batch": 2, "seq": 8, "steps": 2}
SCRIPT = f"""
import charrnn
for preset in {list(PRESETS)}:
    charrnn.train("text.txt", name=preset, preset=preset, **{SMALL})
"""


@pytest.mark.trains
def test_every_preset_trains_and_its_checkpoint_has_its_settings(tmp_path):
    (tmp_path / "text.txt").write_text("a bad cafe\n" * 40)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "CHARRNN_CHECKPOINTS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for name, preset in PRESETS.items():
        trained = read_checkpoint(tmp_path / name / "step-00000002.safetensors")
        values = {**vars(trained.model), **vars(trained.training)}
        expected = {**preset, **SMALL, "epochs": None}
        assert {setting: values[setting] for setting in expected} == expected
