"""docs/api.md: every block of it runs, one after the other, and it names all that the package offers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
# What takes minutes on the page takes steps here.
QUICKER = {
    "minutes=3": "steps=4",
    "units=256": "units=8, batch=4, seq=16",
    'cell=["lstm", "gru"], seeds=2': 'cell=["gru"]',
}
TEXT = "The end of the story is that Teh cat sat on the mat, An.\n" * 40


@pytest.mark.trains
def test_every_block_of_the_page_runs(tmp_path):
    (tmp_path / "corpus.txt").write_text(TEXT)
    script = "\n".join(BLOCKS)
    for slow, quick in QUICKER.items():
        assert slow in script
        script = script.replace(slow, quick)
    environment = {**os.environ, "MPLBACKEND": "agg"}
    environment.pop("CHARRNN_CHECKPOINTS", None)
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    printed = result.stdout.splitlines()
    assert printed[0].startswith("corpus 4 steps, ") and "6" in printed
    assert printed[-1] == "`dropout` is 1.5; it must be at least 0 and below 1."
    assert (tmp_path / "surprisal.png").stat().st_size > 1000


def test_the_page_names_all_that_the_package_offers():
    assert len(BLOCKS) >= 9
    for name in set(charrnn.__all__) - {"__version__"}:
        assert re.search(rf"\b{name}\b", PAGE), name
    for name in (name for name in dir(charrnn.Model) if not name.startswith("_")):
        if name not in ("read_as", "scorer", "guesses", "pieces", "answers", "characters", "embedder", "labeller"):
            assert f"model.{name}" in PAGE, name
