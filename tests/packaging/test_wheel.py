"""The wheel that is built of charrnn: what it holds, what it asks for, and that it works installed alone."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from charrnn import __version__

ROOT = Path(__file__).parents[2]
# What a source archive has beside the package.
BESIDE = ("pyproject.toml", "README.md", "LICENSE")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def run(folder: Path, *command: object, **environment: str) -> str:
    """Run a command that must succeed; return its stdout. Nothing of charrnn is to be found but what is installed."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "KERAS_BACKEND")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=kept | environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, as pip builds it, of a copy: what an earlier build left in the repository is not to come along."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BESIDE:
        shutil.copy(ROOT / name, source / name)
    for name in ("charrnn", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run(source, sys.executable, "-c", BUILD, built)
    (wheel,) = built.iterdir()
    return wheel


@pytest.fixture(scope="session")
def contents(wheel):
    """The files of the wheel: their names, and their bytes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def package_files() -> dict[str, bytes]:
    """Return the files of the package as they lie in the repository, but for pages that its readers alone need."""
    paths = [path for path in (ROOT / "charrnn").rglob("*") if path.is_file() and path.suffix != ".md"]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths if "__pycache__" not in path.parts}


def test_every_file_of_the_package_is_in_it_and_nothing_else(contents):
    files = package_files()
    # What the walk must have found, lest it be the walk that is wrong.
    assert {"charrnn/corpora.toml", "charrnn/py.typed", "charrnn/training/backends/jax/scan.py"} <= set(files)
    info = f"charrnn-{__version__}.dist-info/"
    assert {name: data for name, data in contents.items() if not name.startswith(info)} == files
    assert {name.removeprefix(info) for name in contents if name.startswith(info)} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt",
    }  # fmt: skip
    assert contents[info + "licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert contents[info + "top_level.txt"] == b"charrnn\n"


def test_every_folder_of_python_is_a_package(contents):
    """A folder without __init__.py is found by Python, but not by setuptools."""
    folders = {name.rpartition("/")[0] for name in contents if name.endswith(".py")}
    assert len(folders) > 10 and all(f"{folder}/__init__.py" in contents for folder in folders)


def test_it_has_the_command(contents):
    entries = configparser.ConfigParser()
    entries.read_string(contents[f"charrnn-{__version__}.dist-info/entry_points.txt"].decode())
    assert {name: dict(entries[name]) for name in entries.sections()} == {
        "console_scripts": {"charrnn": "charrnn.__main__:main"}
    }


def test_it_asks_for_all_that_the_package_imports(contents):
    metadata = Parser().parsestr(contents[f"charrnn-{__version__}.dist-info/METADATA"].decode())
    assert metadata["License-Expression"] == "MIT" and metadata["Requires-Python"] == ">=3.11"
    asked = metadata.get_all("Requires-Dist")
    always = {re.match(r"[\w-]+", one)[0] for one in asked if "extra ==" not in one}
    extras = {re.match(r"[\w-]+", one)[0] for one in asked if re.search(r"extra == .(jax|plot|probe|tune|zstd).$", one)}
    assert extras == {"jax", "matplotlib", "optuna", "scikit-learn", "zstandard"}
    extras = extras - {"scikit-learn"} | {"sklearn"}
    imported: dict[str, set[str]] = {}
    for name, data in contents.items():
        for node in ast.walk(ast.parse(data)) if name.endswith(".py") else ():
            # The package imports itself absolutely.
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                imported.setdefault(module.partition(".")[0], set()).add(name)
    foreign = set(imported) - set(sys.stdlib_module_names) - {"charrnn"}
    assert always <= foreign, "asked for, and never imported"
    # It comes with JAX.
    assert foreign - always - extras <= {"jaxlib"}, imported


@pytest.mark.slow
@pytest.mark.trains
def test_installed_alone_it_trains_and_samples(wheel, tmp_path):
    """The environment is new; only for what charrnn depends on does it look into the present one."""
    environment, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    venv.create(environment, with_pip=True)
    paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    python, charrnn = Path(paths["scripts"], "python"), Path(paths["scripts"], "charrnn")
    run(work, python, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", wheel)
    # A .pth file inside a folder that comes from a .pth file is not read: the present charrnn remains unknown.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = run(work, python, "-c", "import charrnn; charrnn.load; print(charrnn.__file__)")
    assert Path(where.strip()).is_relative_to(environment)
    assert run(work, charrnn, "--version") == f"charrnn {__version__}\n"
    assert run(work, python, "-m", "charrnn", "--version") == f"charrnn {__version__}\n"
    assert "tinyshakespeare" in run(work, charrnn, "corpus")
    (work / "text.txt").write_text("".join(f"{n} green bottles\n" for n in range(200)))
    small = ("--units", 8, "--batch", 4, "--seq", 16, "--steps", 3, "--name", "toy")
    run(work, charrnn, "train", "text.txt", *small, KERAS_BACKEND="jax")
    assert (work / "checkpoints/toy/best.safetensors").is_file()
    assert len(run(work, charrnn, "sample", "toy", "--length", 40, "--seed", 1).rstrip("\n")) <= 40
