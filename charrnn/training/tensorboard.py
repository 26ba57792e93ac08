"""Event files of TensorBoard: what is written at each step, by TensorFlow's own writer; nothing is there twice."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, NotWritten
from charrnn.training.backends.choice import choose
from charrnn.training.backends.start import stderr_held_back

# TensorFlow ends the names of its files with this; only such files are ever changed.
ENDING = ".charrnn"
OURS = f"events.out.tfevents.*{ENDING}"
# The file that says whose the others are: the path of the run's folder.
OWNER = "run.charrnn"
# The bytes of a record of an event file, in addition to the event itself: its length and two checksums.
FRAME = 16
# The intervals of a histogram.
BINS = 30
# TensorBoard's names of its plugins, and whether the value is a scalar; other values are tensors.
SCALAR, HISTOGRAM, TEXT = ("scalars", True), ("histograms", False), ("text", False)


def check_installed() -> None:
    """Raise CharRNNError if TensorFlow is not installed."""
    if find_spec("tensorflow") is None:
        raise _lacking("is not installed")


def _lacking(why: str) -> CharRNNError:
    return CharRNNError(
        f"`tensorboard` needs TensorFlow, which writes its files; it {why}.",
        hint="pip install tensorflow, or leave `tensorboard` out: metrics.jsonl has the losses in any case.",
    )


def load() -> None:
    """Import TensorFlow, which takes seconds if another backend trains; it then uses no GPU.

    Raise CharRNNError if it cannot be imported.
    """
    with stderr_held_back():
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        try:
            import tensorflow as tf
        except ImportError as error:
            raise _lacking(f"cannot be imported: {error}") from error

        if choose().name != "tensorflow":
            # Otherwise its first operation would take all the memory of the GPU.
            with suppress(RuntimeError):
                tf.config.set_visible_devices([], "GPU")
        tf.zeros(())


class EventFiles:
    """The event files of one run in a folder, which is made: they are cut after `step`, and then written on.

    A value is not written if its tag has one of the same step or a later one. Raises NotWritten if the folder cannot be
    written to, as every method does. `run` is the path of the run's folder; the file OWNER then has it.
    """

    def __init__(self, folder: Path, step: int, parents: bool = False, run: Path | None = None):
        import tensorflow as tf

        self.folder = folder
        self.newest: dict[str, int] = {}
        with self._written():
            folder.mkdir(parents=parents, exist_ok=True)
            if run is not None:
                (folder / OWNER).write_bytes(os.fsencode(run.resolve()))
            files = sorted(folder.glob(OURS))
            for path in files:
                self._cut(path, step)
            if files:
                _wait_for_a_later_name(files[-1])
                self._tell_readers(step)
            known = set(folder.glob(OURS))
            self._writer = tf.summary.create_file_writer(str(folder), filename_suffix=ENDING)
            self._writer.flush()
            (self.path,) = set(folder.glob(OURS)) - known

    def scalar(self, tag: str, value: float, step: int, what: str) -> None:
        """Write a number; `what` explains it to the reader."""
        self._write(tag, np.float32(value), step, SCALAR, what)

    def histogram(self, tag: str, values: np.ndarray, step: int, what: str) -> None:
        """Write how many of the finite values are in each of BINS intervals of the same width; nothing if none is."""
        finite = values[np.isfinite(values)].astype(np.float64)
        if len(finite):
            counts, edges = np.histogram(finite, BINS)
            self._write(tag, np.stack([edges[:-1], edges[1:], counts], axis=1), step, HISTOGRAM, what)

    def text(self, tag: str, text: str, step: int, what: str) -> None:
        """Write a text that is shown as it is: in Markdown, lines that are indented."""
        shown = "".join(f"    {line}\n" for line in text.encode(errors="replace").decode().split("\n"))
        self._write(tag, np.array(shown.encode(), object), step, TEXT, what)

    def flush(self) -> None:
        """Write to the file what waits in memory."""
        with self._written():
            self._writer.flush()

    def close(self) -> None:
        """Write to the file what waits in memory, and close it."""
        with self._written():
            self._writer.close()

    def _write(self, tag: str, value: Any, step: int, plugin: tuple[str, bool], what: str) -> None:
        import tensorflow as tf

        if self.newest.get(tag, -1) >= step:
            return
        kind = tf.compat.v1.SummaryMetadata
        name, is_scalar = plugin
        metadata = kind(
            summary_description=what, plugin_data=kind.PluginData(plugin_name=name), data_class=1 if is_scalar else 2
        )
        with self._written(), self._writer.as_default():
            tf.summary.write(tag, value, step, metadata)
        self.newest[tag] = step

    def _cut(self, path: Path, step: int) -> None:
        """Cut a file before its first event after `step`, or where a crash left an event unfinished."""
        import tensorflow as tf

        kept, is_whole = 0, False
        # A record that is damaged or unfinished ends the file.
        with suppress(tf.errors.DataLossError):
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                if event.step > step:
                    break
                kept += len(record) + FRAME
                self.newest |= {value.tag: event.step for value in event.summary.value}
            else:
                is_whole = True
        if not is_whole:
            os.truncate(path, kept)

    def _tell_readers(self, step: int) -> None:
        """Tell a TensorBoard that is open to forget all after `step`."""
        import tensorflow as tf

        # Its name is between those of the older files and the next one.
        path = self.folder / f"{_name_now()}.{ENDING}"
        begins = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        begins_again = tf.compat.v1.Event(wall_time=time.time(), step=step + 1, session_log=begins)
        with tf.io.TFRecordWriter(str(path)) as file:
            file.write(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            # The readers ignore the first such event.
            for _ in range(2):
                file.write(begins_again.SerializeToString())

    @contextmanager
    def _written(self) -> Iterator[None]:
        import tensorflow as tf

        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            why = f"TensorBoard's files in {self.folder} could not be written: {_reason(error)}."
            raise NotWritten(why, hint="Free some space, or name another folder with `tensorboard_dir`.") from error


def _reason(error: Exception) -> str:
    """Return what the system said; TensorFlow has it inside of a long message."""
    known = [os.strerror(number) for number in errno.errorcode]
    return next((words for words in known if words in str(error)), str(error).partition("\n")[0])


def _name_now() -> str:
    """Return how the name of a file begins that TensorFlow makes now; readers go from file to file by name."""
    return f"events.out.tfevents.{int(time.time()):010d}."


def _wait_for_a_later_name(path: Path) -> None:
    """Wait for the next second if a file was made in this one, as the seconds order the files."""
    if path.name.startswith(_name_now()):
        time.sleep(1 - time.time() % 1)
