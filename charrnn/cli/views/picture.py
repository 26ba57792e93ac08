"""Pictures that matplotlib draws: where they can be written, and how."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn.atomic import check_replaceable, replacing
from charrnn.errors import CharRNNError

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path, mark: str) -> None:
    """Raise CharRNNError if no picture can be written to this path; called before anything is read.

    mark: of the command that draws it, such as "charrnn inspect --plot". The metadata of its pictures contain this, so
    that they can be recognized: only they are replaced.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CharRNNError(f"--plot {path}: the name of a picture must end with one of {', '.join(SUFFIXES)}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CharRNNError(
            "--plot needs matplotlib, which is not installed.", hint="Install it: pip install 'charrnn[plot]'"
        ) from None
    try:
        check_replaceable(path, "picture", lambda before: mark.encode() in before.read_bytes())
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> CharRNNError:
    return CharRNNError(
        f"The picture cannot be written to {path}: {error.strerror or error}.",
        hint="Name a file in a folder that exists and is writeable.",
    )


def draw_picture(path: Path, draw: Callable[[], Any], mark: str) -> None:
    """Write the figure that `draw` returns; the path's suffix sets the format. `mark` as in `check_picture`."""
    import matplotlib

    # Text is stored as text in an SVG, and the same history gives the same file.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "charrnn"}
    settings |= {f"figure.constrained_layout.{side}_pad": 0.12 for side in "wh"}
    kind = path.suffix.lower()[1:]
    with matplotlib.rc_context(settings), warnings.catch_warnings(), io.BytesIO() as picture:
        # The font may lack a character of a name; then a box is drawn.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        undated = {} if kind == "png" else {"Date" if kind == "svg" else "CreationDate": None}
        about = {"Software" if kind == "png" else "Creator": mark, **undated}
        draw().savefig(picture, format=kind, dpi=150, metadata=about)
        data = picture.getvalue()
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise _not_written(path, error) from error
