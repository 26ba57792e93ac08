"""Where vectors of lines go: a .npy file, or lines of tab-separated numbers or of JSON on stdout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from charrnn.api.json_text import json_text
from charrnn.atomic import check_replaceable, replacing, tidy
from charrnn.cli.console import printable, say, write_data
from charrnn.cli.signals import tidied
from charrnn.errors import CharRNNError
from charrnn.text.decoding import readable

if TYPE_CHECKING:
    from charrnn.config import TextConfig

# The file begins with this many bytes: the header of the format, filled up with spaces.
HEADER = 128
MAGIC = b"\x93NUMPY"


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
        facts = {"descr": "<f4", "fortran_order": False, "shape": (self.count, self.width)}
        begin = MAGIC + bytes([1, 0]) + (HEADER - 10).to_bytes(2, "little")
        self.file.seek(0)
        self.file.write(begin + f"{facts!r}".ljust(HEADER - 11).encode() + b"\n")


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
    say(f"{vectors.count:,} vectors of {width:,} numbers are in {printable(str(path))}.")


def is_vectors(path: Path) -> bool:
    """Return whether a file is a .npy file."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class Rows:
    """Prints vectors: each as a line of tab-separated numbers, or as `json` with the number and the text of its line.

    `text` says how the lines were read.
    """

    def __init__(self, json: bool, text: "TextConfig"):
        self.json, self.text = json, text

    def write(self, vectors: np.ndarray, lines: Sequence[str], first: int) -> None:
        """Print the vectors of lines, numbered from `first`."""
        written = []
        for number, (vector, line) in enumerate(zip(vectors.tolist(), lines, strict=True), first):
            # As many digits as a float32 has.
            numbers = [f"{value:.7g}" for value in vector]
            if self.json:
                facts = {"line": number, "text": readable(line, self.text), "vector": list(map(float, numbers))}
                written.append(json_text(facts, ascii_only=False))
            else:
                written.append("\t".join(numbers) + "\n")
        write_data("".join(written))
