"""Completion in the user's shell: what the shell runs, and where that is installed."""

import os
import shlex
from pathlib import Path

from charrnn.cli.console import say, write_data
from charrnn.errors import CharRNNError

# Each asks with the words up to the cursor. Where charrnn answers with an exit code, the shell completes files.
_BASH = """\
_charrnn() {
    local found line
    COMPREPLY=()
    found=$(_CHARRNN_COMPLETE=bash "${1/#\\~/$HOME}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return 0
    compopt +o default 2>/dev/null
    while IFS= read -r line; do
        [[ $line ]] && COMPREPLY+=("$line")
    done <<< "$found"
}
complete -o default -F _charrnn charrnn
"""
_ZSH = """\
_charrnn() {
    local found
    found=$(_CHARRNN_COMPLETE=zsh ${~${(Q)words[1]}} "${(@Q)words[2,CURRENT]}" 2>/dev/null) || { _files; return }
    local -a lines=("${(@f)found}")
    [[ -n $found ]] && _describe charrnn lines
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
compdef _charrnn charrnn
"""
_FISH = """\
function __charrnn
    set -l words (commandline -opc) (commandline -ct)
    set -l found (env _CHARRNN_COMPLETE=fish $words[1] $words[2..-1] 2>/dev/null)
    and printf '%s\\n' $found
    or __fish_complete_path (commandline -ct)
end
complete -c charrnn -f -a '(__charrnn)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def show() -> None:
    """Print what the user's shell needs to complete command lines of charrnn."""
    write_data(SCRIPTS[_shell()])


def install() -> None:
    """Write that to a file, and let the shell read it where it starts."""
    shell, home = _shell(), Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "fish":
        script, starting = config / "fish/completions/charrnn.fish", None
    else:
        script = config / f"charrnn/completion.{shell}"
        starting = home / ".bashrc" if shell == "bash" else Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    try:
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(SCRIPTS[shell], encoding="utf-8")
        added = starting is not None and _add_line(starting, f"source {shlex.quote(str(script))}")
    except OSError as error:
        raise CharRNNError(
            f"{error.filename} cannot be written: {error.strerror}.",
            "charrnn --show-completion prints what would be installed; put it where your shell reads it.",
        ) from None
    say(f"Wrote {script}{f', and a line at the end of {starting} that reads it' if added else ''}.")
    say(f"{shell} completes charrnn when it starts anew. For another shell: SHELL=zsh charrnn --install-completion")


def _add_line(path: Path, line: str) -> bool:
    """Add a line to the end of a file unless it is there; return whether it was not."""
    text = path.read_bytes() if path.exists() else b""
    if line.encode() in text.splitlines():
        return False
    # Only ever added to: what the user has in there stays, whatever happens.
    with path.open("ab") as file:
        file.write((b"" if not text or text.endswith(b"\n") else b"\n") + line.encode() + b"\n")
    return True


def _shell() -> str:
    """Return the user's shell; CharRNNError if it is none that can complete."""
    shell = os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SCRIPTS:
        raise CharRNNError(
            f"The shell is {shell or 'not known'}; completion is for {', '.join(SCRIPTS)}.",
            "Name one of these: SHELL=bash charrnn --install-completion",
        )
    return shell
