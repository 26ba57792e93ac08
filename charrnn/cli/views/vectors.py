"""What is made of the vectors of lines: a .npy file; vectors, neighbours or places as fields or JSON on stdout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from charrnn.api.json_text import json_text
from charrnn.atomic import check_replaceable, replacing, tidy
from charrnn.cli.console import TextWriter, printable, say, write_data
from charrnn.cli.signals import tidied
from charrnn.errors import CharRNNError
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.api.mapping import Lines
    from charrnn.api.similar import Similar
    from charrnn.config import TextConfig

# The file begins with this many bytes: the header of the format, filled up with spaces.
HEADER = 128
MAGIC = b"\x93NUMPY"
# About so many numbers are printed at once: as Python's numbers they take ten times as much memory.
NUMBERS = 1 << 18


def check_printed(option: str, does: str, path: Path | None, **how: bool) -> None:
    """Raise CharRNNError if an option names a file in place of what is printed, and others say how it is printed."""
    for name, given in how.items():
        if path is not None and given:
            raise CharRNNError(
                f"{option} {does}, but --{name} says how results are printed.", hint="Leave out one of them."
            )


class VectorFile:
    """Writes vectors, float32 (vectors, width), into a .npy file, which NumPy can load or map into memory.

    An existing file is replaced if it is a .npy file; the new one appears when it is complete.
    """

    def __init__(self, file: BinaryIO, width: int):
        self.file, self.width, self.count = file, width, 0
        file.write(bytes(HEADER))

    def write(self, vectors: np.ndarray) -> None:
        """Append vectors."""
        self.file.write(np.ascontiguousarray(vectors, "<f4").tobytes())
        self.count += len(vectors)

    def finish(self) -> None:
        """Write the header, which says how many vectors there are."""
        # As NumPy writes it.
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self.count}, {self.width}), }}"
        begin = MAGIC + bytes([1, 0]) + (HEADER - 10).to_bytes(2, "little")
        self.file.seek(0)
        self.file.write(begin + facts.ljust(HEADER - 11).encode() + b"\n")


@contextmanager
def vector_file(path: Path, width: int) -> Iterator[VectorFile]:
    """Yield the file for vectors of a width; it appears under its name when the block ends."""
    check_replaceable(path, "file of vectors", is_vectors)
    try:
        with tidied(tidy), replacing(path) as file:
            vectors = VectorFile(file, width)
            yield vectors
            vectors.finish()
    except OSError as error:
        raise CharRNNError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that exists and is writeable.",
        ) from error
    say(f"Wrote {printable(str(path))}: an array of {vectors.count:,} x {width:,} numbers.")


def is_vectors(path: Path) -> bool:
    """Return whether a file is a .npy file."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Rows:
    """Prints vectors: each as a line of tab-separated numbers, or as `json` with the number and the text of its line.

    `text` says how the lines were read.
    """

    def __init__(self, json: bool, text: "TextConfig"):
        self.json, self.text, self.count = json, text, 0

    def write(self, vectors: np.ndarray, lines: Sequence[str]) -> None:
        """Print the vectors of the next lines."""
        at_once = max(1, NUMBERS // vectors.shape[1])
        for low in range(0, len(lines), at_once):
            some = slice(low, low + at_once)
            write_data("".join(map(self._row, vectors[some].tolist(), lines[some])))

    def _row(self, vector: list[float], line: str) -> str:
        self.count += 1
        # As many digits as a float32 has.
        numbers = [f"{value:.7g}" for value in vector]
        if not self.json:
            return "\t".join(numbers) + "\n"
        facts = {"line": self.count, "text": readable(line, self.text), "vector": list(map(float, numbers))}
        return json_text(facts, ascii_only=False)


class Neighbours:
    """Prints the lines that are similar to queries, as fields or as `json`; `count` counts the queries so far.

    numbered: the number of the query is the first field. text: how the lines were read.
    """

    def __init__(self, json: bool, text: "TextConfig", numbered: bool):
        self.json, self.text, self.numbered, self.count = json, text, numbered, 0
        self._writer = TextWriter(text.encoding, text.bytes, errors="replace")

    def write(self, found: "Sequence[Sequence[Similar]]") -> None:
        """Print the lines that are similar to the next queries."""
        for lines in found:
            self.count += 1
            if self.json:
                write_data("".join(map(self._record, lines)))
            else:
                self._writer.write("".join(map(self._fields, lines)))

    def _fields(self, line: "Similar") -> str:
        number = f"{self.count}\t" if self.numbered else ""
        return f"{number}{line.similarity:.4f}\t{line.line}\t{line.text.replace(chr(10), chr(92) + 'n')}\n"

    def _record(self, line: "Similar") -> str:
        facts = {"query": self.count, **line.to_json(), "text": readable(line.text, self.text)}
        return json_text(facts, ascii_only=False)


class Points:
    """Prints the places of lines on a map, as fields or as `json`; `text` says how the lines were read."""

    def __init__(self, json: bool, text: "TextConfig"):
        self.json, self.text = json, text

    def write(self, points: np.ndarray, lines: "Lines") -> None:
        """Print the places, (lines, 2), with the labels of the lines."""
        rows = []
        for place, ((x, y), text) in enumerate(zip(points.tolist(), lines.texts, strict=True)):
            rows.append(self._row(place + 1, x, y, text, None if lines.labels is None else lines.labels[place]))
        if self.json:
            write_data("".join(rows))
        else:
            TextWriter(self.text.encoding, errors="replace").write("".join(rows))

    def _row(self, line: int, x: float, y: float, text: str, label: str | None) -> str:
        if not self.json:
            return "\t".join([f"{x:.6g}", f"{y:.6g}", *([] if label is None else [as_field(label)])]) + "\n"
        facts = {"line": line, "x": x, "y": y, "text": readable(text, self.text)}
        return json_text(facts if label is None else {**facts, "label": label}, ascii_only=False)


def as_field(text: str) -> str:
    """Return a text that fits in a field of a line: tabs and line breaks are escaped."""
    return text.replace("\t", "\\t").replace("\n", "\\n")
