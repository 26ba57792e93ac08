"""The commands as a shell runs them: in processes of their own, one or several in one."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from support.compilation import READ_ONLY

COMMAND = str(Path(sysconfig.get_path("scripts"), "charrnn"))
PYTHON = shlex.quote(sys.executable)
HEAVY = {"keras", "tensorflow", "jax"}


def charrnn_in(folder, *arguments, command=COMMAND, stdin=b""):
    """Run the command in a folder; return the finished process, stdout in bytes and stderr as text.

    What it trains is trained by JAX, which starts in half the time, unless the test asks for another backend.
    """
    environment = {
        key: value for key, value in os.environ.items() if key == "CHARRNN_CACHE" or not key.startswith("CHARRNN_")
    }
    environment.setdefault("KERAS_BACKEND", "jax")
    result = subprocess.run(
        [*shlex.split(command), *map(str, arguments)], cwd=folder, env=environment, input=stdin, capture_output=True
    )
    result.stderr = result.stderr.decode()
    return result


def started(folder, *arguments, text=True) -> Any:
    """Start the command in a folder, its stdout and stderr in pipes; it may be killed."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, **READ_ONLY}}
    return subprocess.Popen([COMMAND, *map(str, arguments)], cwd=folder, text=text, **pipes)


def loaded_by(folder, *arguments):
    """Return the finished process of a command, and the modules that it had imported at its end."""
    script = (
        "import sys; from charrnn.__main__ import main; sys.argv[0] = 'charrnn'\n"
        "try: main()\n"
        "finally: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    result = charrnn_in(folder, "-c", script, *arguments, command=PYTHON)
    return result, set(result.stderr.split())


SEVERAL = """
import json, os, sys
from charrnn.cli.app import main
for name, stdin, *arguments in json.loads(sys.argv[1]):
    print("==", name, file=sys.stderr)
    sys.argv = ["charrnn", *arguments]
    if stdin is not None:
        sys.stdin = open(stdin or os.devnull)
    try:
        main()
    except SystemExit as exit:
        print("exit", exit.code or 0, file=sys.stderr)
"""


def several(folder, *calls, stdin=b"", command=PYTHON):
    """Run commands in one process, each (name, file for stdin, arguments); return what each said and its exit code.

    Where the file is None a command reads `stdin`, where it is "" nothing.
    """
    script = json.dumps([[name, file, *map(str, arguments)] for name, file, *arguments in calls])
    result = charrnn_in(folder, "-c", SEVERAL, script, command=command, stdin=stdin)
    assert result.returncode == 0, result.stderr
    said = dict(part.split("\n", 1) for part in result.stderr.split("== ")[1:])
    return {name: (text, int(text.rpartition("exit ")[2] or 0)) for name, text in said.items()}


def found(pattern, text):
    """Return the groups of the first place in a text that matches."""
    match = re.search(pattern, text)
    assert match, text
    return match.groups()


def refused(result):
    """Assert that a command failed as it should; return what it said."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == b""
    assert "Traceback" not in result.stderr
    # A run that goes on says first what it reads.
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Reading the text that ")]
    assert lines[0].startswith("charrnn: ") and len(lines) <= 2, result.stderr
    return result.stderr
