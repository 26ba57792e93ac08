"""The lowest versions that pyproject.toml allows, which `make test-lowest` installs."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("lowest.py")
PYPROJECT = SCRIPT.parents[2] / "pyproject.toml"


def lowest(path: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True)


def test_each_dependency_is_pinned_to_its_lowest_version(tmp_path):
    (tmp_path / "pyproject.toml").write_text("""
        [project]
        dependencies = ["one>=1.2", "two-three[four]>=2.0,<3"]
        [project.optional-dependencies]
        jax = ["jax>=0.8"]
        plot = ["five>=5"]
        probe = ["eight>=8"]
        tune = ["nine>=9"]
        zstd = ["six>=6"]
        dev = ["seven>=7"]
    """)
    done = lowest(tmp_path / "pyproject.toml")
    pinned = ["one==1.2", "two-three==2.0", "jax==0.8", "five==5", "eight==8", "nine==9", "six==6"]
    assert done.stdout.split() == pinned, done.stderr


@pytest.mark.parametrize("bound", ["one", "one==1.2", "one<2", "one>1.2", "one~=1.2"])
def test_what_has_no_lowest_version_is_an_error(bound, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["{bound}"]\n'
        "optional-dependencies = {jax = [], plot = [], probe = [], tune = [], zstd = []}\n"
    )
    done = lowest(tmp_path / "pyproject.toml")
    assert done.returncode != 0 and repr(bound) in done.stderr and done.stdout == ""


def test_what_is_named_more_than_once_has_one_lowest_version():
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    bounds: dict[str, set[str]] = {}
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(one for extra in extras for one in extra)]:
        name, bound = re.match(r"([\w-]+)(?:\[[\w-]+\])?(.*)", requirement).groups()
        bounds.setdefault(name, set()).add(bound)
    assert {"tensorflow", "jax", "matplotlib"} <= set(bounds)
    assert [name for name in bounds if len(bounds[name]) > 1] == []
