"""The sizes of modules: one subject each, so that none is long."""

from pathlib import Path

import charrnn

ROOT = Path(charrnn.__file__).parent


def test_no_module_is_long():
    lines = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.rglob("*.py")}
    assert len(lines) > 100
    long = {str(path): count for path, count in lines.items() if count > (120 if "commands" in path.parts else 350)}
    assert long == {}
