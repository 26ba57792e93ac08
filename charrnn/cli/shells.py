"""Completion in the user's shell: the scripts for each shell, and where they are installed."""

import os
import shlex
from pathlib import Path

from charrnn.cli.console import say, write_data
from charrnn.errors import CharRNNError

# Each script runs charrnn with the words up to the cursor. If charrnn exits with an error, the shell completes files.
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
    """Print the script with which the user's shell completes command lines of charrnn."""
    write_data(SCRIPTS[_shell()])


def install() -> None:
    """Write the script to a file that the shell reads when it starts."""
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
            "charrnn --show-completion prints the script; save it in a file that your shell reads.",
        ) from None
    say(f"Wrote {script}{f', and a line at the end of {starting} that reads it' if added else ''}.")
    say(f"Start {shell} again to use completion. For another shell: SHELL=zsh charrnn --install-completion")


def _add_line(path: Path, line: str) -> bool:
    """Add a line to the end of a file unless the file has it already; return whether it was added."""
    text = path.read_bytes() if path.exists() else b""
    if line.encode() in text.splitlines():
        return False
    # The file is only appended to, so that nothing of the user can be lost.
    with path.open("ab") as file:
        file.write((b"" if not text or text.endswith(b"\n") else b"\n") + line.encode() + b"\n")
    return True


def _shell() -> str:
    """Return the user's shell; raise CharRNNError if there is no script for it."""
    shell = os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SCRIPTS:
        raise CharRNNError(
            f"The shell is {shell or 'not known'}; charrnn has completion for {', '.join(SCRIPTS)}.",
            "Choose one of these shells: SHELL=bash charrnn --install-completion",
        )
    return shell
