"""The folder of a training run: its name, its checkpoints, its log."""

import contextlib
import itertools
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from charrnn.atomic import TEMPORARY, Content, not_written, write_durably
from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, read_header, serialise
from charrnn.runs.lock import LOCK, Lock
from charrnn.runs.log import MetricsLog
from charrnn.runs.verify import check
from charrnn.text.sources import STDIN

_STEP = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,})\.safetensors")
# The names of such sources in a record; all other sources are absolute paths.
_CAME_ONCE = re.compile("-[0-9]*")
# The files that keep them.
_KEPT = re.compile(r"stdin(-[0-9]+)?\.txt")
# The limit of most file systems for a name; the name of a run is the name of its folder.
_NAME_BYTES = 255
_LEFT_OVER = re.compile(
    rf"\.(best\.safetensors|step-[0-9]+\.safetensors|stdin(-[0-9]+)?\.txt)\.[0-9a-f]{{8}}{re.escape(TEMPORARY)}"
)


class Run:
    """A folder of checkpoints and the log of their training. Other files in it are never touched.

    `ahead` has the contents, by path, that must be on disk before the next checkpoint: a failed save leaves them for
    the next save. While the run's lock is held, `held` has the files that the folder must contain, by name. They are
    open, so that their contents survive if a user moves or removes the folder. Then `save` makes it again, and
    `moved` is its new path.
    """

    def __init__(self, path: Path):
        self.path = path
        self.log = MetricsLog(path / "metrics.jsonl")
        self.lock = Lock(path)
        self.ahead: dict[Path, Content] = {}
        self.held: dict[str, BinaryIO] = {}
        self.moved: Path | None = None
        self._folder: os.stat_result | None = None
        self.is_new = False

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    def kept(self, source: str) -> Path:
        """Return the file that keeps the text of stdin or a pipe ("-", "-2", …), for resuming."""
        return self.path / f"stdin{source if source != STDIN else ''}.txt"

    def all_kept(self, sources: Iterable[str]) -> dict[str, Path]:
        """Return the files that keep the texts of stdin and pipes among some recorded sources, by recorded name."""
        return {source: self.kept(source) for source in sources if _CAME_ONCE.fullmatch(source)}

    def found_again(self, sources: Sequence[str]) -> list[str]:
        """Return recorded sources as they can be read now: texts of stdin and pipes are in the run's folder."""
        kept = self.all_kept(sources)
        return [str(kept.get(source, source)) for source in sources]

    @property
    def modified(self) -> float:
        """Return the time of the newest checkpoint, or else of the folder, in seconds since 1970."""
        times = [_modified(path) for path in (*self.checkpoints(), self.best)]
        return max(times) or _modified(self.path)

    def checkpoints(self) -> list[Path]:
        """Return the step checkpoints in the order of their steps."""
        files = [path for path in self.path.glob("step-*.safetensors") if _STEP.fullmatch(path.name)]
        return sorted((path for path in files if path.is_file()), key=_step)

    def newest(self) -> Path | None:
        """Return the checkpoint with the highest step, or None."""
        return self.checkpoints()[-1] if self.checkpoints() else None

    def hold(self) -> None:
        """Take the run's lock, for training; CharRNNError if another process has it."""
        self.lock.acquire()
        self._folder = self.path.stat()
        self._keep_best()

    def save(self, checkpoint: Checkpoint, step: int, best: bool, keep: int) -> None:
        """Write the checkpoint of a step, and also as the best one if it is; remove all but the newest `keep` steps."""
        if self._folder is not None:
            self._see_to_the_folder(self._folder)
        # First, because they may fill the disk.
        self._remove(path for path in self.path.glob(".*") if _LEFT_OVER.fullmatch(path.name))
        data = serialise(checkpoint)
        if best:
            # A separate file: damage to one of the two leaves the other intact.
            self.ahead[self.best] = data
        self.log.sync()
        # After a crash in between, training repeats the steps that led here, and writes the same files again.
        for path in list(self.ahead):
            write_durably(path, self.ahead[path])
            del self.ahead[path]
            if path == self.best and self._folder is not None:
                self._keep_best()
        write_durably(self.path / f"step-{step:08d}.safetensors", data)
        # A later step than this one is a damaged file that training fell back from. It must not push out good ones.
        known = [path for path in self.checkpoints() if _step(path) <= step]
        self._remove(known[: -max(keep, 1)])

    def _keep_best(self) -> None:
        before = self.held.pop(self.best.name, None)
        if before is not None:
            before.close()
        with contextlib.suppress(OSError):
            self.held[self.best.name] = self.best.open("rb")

    def _see_to_the_folder(self, known: os.stat_result) -> None:
        """Make the folder again if it was moved or removed, and plan the writing of missing files.

        If another folder has taken its place, make a new folder beside it. NotWritten if that fails.
        """
        try:
            here: os.stat_result | None = self.path.stat()
        except OSError:
            here = None
        is_same = here is not None and os.path.samestat(here, known)
        if not is_same or self.lock.is_lost:
            self.lock.release()
            try:
                is_ours = (is_same or here is None or is_empty(self.path)) and self._make_again()
                if not is_ours:
                    self._move_to(create_run(None, self.name, self.path.parent))
                self._folder = self.path.stat()
            except OSError as error:
                raise not_written(self.path, error) from error
            self.moved = self.moved if is_same and is_ours else self.path
        for name, file in self.held.items():
            if not (self.path / name).exists():
                # A file server may have lost an open file: that must not stop all later saves.
                with contextlib.suppress(OSError):
                    file.seek(0)
                    file.read(1)
                    self.ahead.setdefault(self.path / name, file)

    def _make_again(self) -> bool:
        """Make the folder if it does not exist, and take its lock; return whether no other process has the lock."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire()
        except NotWritten:
            raise
        except CharRNNError:
            return False
        return True

    def _move_to(self, other: "Run") -> None:
        """Go on in the folder of another, new run."""
        other.lock.acquire()
        self.ahead = {other.path / path.name: content for path, content in self.ahead.items()}
        self.path, self.lock, self.log.path = other.path, other.lock, other.log.path

    def _remove(self, paths: Iterable[Path]) -> None:
        """Remove old files of charrnn; training goes on if one cannot be removed."""
        for path in list(paths):
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Release the lock; remove the folder of a new run if nothing was written."""
        self.lock.release()
        for file in self.held.values():
            file.close()
        self.held.clear()
        if self.is_new:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def clear(self) -> None:
        """Remove what training wrote before its first checkpoint, and the folder, unless something else is in it."""
        for path in [*self.path.iterdir()] if self.path.is_dir() else []:
            if path.name in (self.log.path.name, LOCK) or _LEFT_OVER.fullmatch(path.name) or _KEPT.fullmatch(path.name):
                self._remove([path])
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def load_newest(self) -> tuple[Checkpoint, Path, list[str]]:
        """Return the newest sound checkpoint, its file, and a warning for each damaged one that was skipped."""
        errors: list[CharRNNError] = []
        for path in self._candidates():
            try:
                checkpoint = read_checkpoint(path, training=True)
                check(checkpoint, path)
            except CharRNNError as error:
                errors.append(error)
            else:
                return checkpoint, path, [f"{error.message} Using {path.name} instead." for error in errors]
        if not errors:
            raise CharRNNError(
                f"The run {self.path} has no checkpoint yet.",
                f"If no process trains it, remove it (rm -r {shlex.quote(str(self.path))}) and train again.",
            )
        raise CharRNNError(f"No checkpoint of the run {self.path} can be used. {errors[0].message}", errors[0].hint)

    def _candidates(self) -> Iterator[Path]:
        """Yield the newest checkpoint, then those that can replace it: the best one takes its place by its step."""
        known = self.checkpoints()
        if known:
            yield known.pop()
        if self.best.is_file():
            step = -1
            with contextlib.suppress(CharRNNError):
                step = read_header(self.best).step or step
            while known and _step(known[-1]) >= step:
                yield known.pop()
            yield self.best
        yield from reversed(known)


def runs_folder() -> Path:
    """Return the folder of runs: the environment's CHARRNN_CHECKPOINTS, or `checkpoints`."""
    return Path(os.environ.get("CHARRNN_CHECKPOINTS") or "checkpoints")


def shell_name(run: Run) -> str:
    """Return how to name a run on the command line (`call_name`)."""
    return shlex.quote(call_name(run))


def call_name(run: Run) -> str:
    """Return how to name a run: its name if it is in the folder of runs, else its path."""
    inside = run.path.parent.resolve() == runs_folder().resolve()
    path = str(run.path) if os.sep in str(run.path) else f".{os.sep}{run.path}"
    return run.name if inside else path


def create_run(name: str | None, default_name: str, out: Path | None = None, left_empty: bool = False) -> Run:
    """Make the folder of a new run in `out` (by default `runs_folder()`); an existing run is never used.

    left_empty: as for `check_name`.
    Without a name it is `default_name`, or the first of `default_name`-2, -3, … that is free.
    """
    folder = out or runs_folder()
    check_name(name, folder, left_empty)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise CharRNNError(f"{folder} is a file; runs need a folder.", "Name a folder with `out`.") from None
    except OSError as error:
        raise _no_folder(folder, error) from error
    base = re.sub(r"[^\w.-]+", "-", default_name).strip(".-")[:60] or "run"
    names = [name] if name is not None else (base if n == 1 else f"{base}-{n}" for n in itertools.count(1))
    for candidate in names:
        try:
            (folder / candidate).mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise _no_folder(folder / candidate, error) from error
        run = Run(folder / candidate)
        run.is_new = True
        return run
    raise _taken(folder / str(name))


def check_name(name: str | None, out: Path | None = None, left_empty: bool = False) -> None:
    """Raise CharRNNError if a new run cannot have this name, or the name is taken; called before the text is read.

    left_empty: a folder of this name that is empty, because a process was killed before its first file, is removed.
    """
    if name is None:
        return
    if not name.isprintable() or name[:1] in ("", ".", "-") or set(name) & {"/", "\\"}:
        raise CharRNNError(
            f"{name!r} cannot be the name of a run: a name is not empty, does not begin with a dot or a dash, and has "
            "no slash or line break.",
            "Choose another `name`; `out` chooses the folder.",
        )
    size = len(os.fsencode(name))
    if size > _NAME_BYTES:
        raise CharRNNError(
            f"{name[:20]!r} … cannot be the name of a run: a name has at most {_NAME_BYTES} bytes; this one has "
            f"{size:,}.",
            "Use a shorter `name`.",
        )
    path = (out or runs_folder()) / name
    if left_empty and is_empty(path):
        # Not if another process has its lock, or has written into it since.
        with contextlib.suppress(CharRNNError, OSError):
            lock = Lock(path)
            lock.acquire()
            lock.release()
            path.rmdir()
    if path.exists():
        raise _taken(path)


def _taken(path: Path) -> CharRNNError:
    hint = "Continue it with `resume`, or choose another `name`."
    if path.is_dir() and not Run(path).newest() and not Run(path).best.is_file():
        remove = f"rm -r {shlex.quote(str(path))}"
        hint = f"It has no checkpoint. If no process trains it, remove it ({remove}), or choose another `name`."
    return CharRNNError(f"The run {path} exists already.", hint)


def _no_folder(folder: Path, error: OSError) -> CharRNNError:
    return NotWritten(f"The folder {folder} cannot be made: {error.strerror}.", "Choose another folder with `out`.")


def run_of_file(path: Path) -> str | None:
    """Return the name of the run that a checkpoint file belongs to; None if the file is not named like a checkpoint."""
    run = Run(path.parent)
    return run.name if path.name == run.best.name or _STEP.fullmatch(path.name) else None


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-").removesuffix(".safetensors"))


def _modified(path: Path) -> float:
    # A trainer may have removed the checkpoint since it was listed.
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def is_empty(path: Path) -> bool:
    """Return whether this is a folder that is empty, or has only the lock of a run that is about to begin."""
    return path.is_dir() and all(entry.name == LOCK for entry in path.iterdir())
