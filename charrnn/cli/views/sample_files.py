"""The files that samples are written to: one for all of them, or one for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charrnn.atomic import check_replaceable, replacing
from charrnn.errors import CharRNNError

# What is the number of a sample in the name of its file.
NUMBER = "{n}"


class SampleFiles:
    """The files of a name: one or, if it has {n} in it, one for each of so many samples, numbered from 1.

    No file that is there is replaced, which is known before anything is sampled. Each is there when it is whole.
    """

    def __init__(self, name: str, count: int):
        self.name, self.each = name, NUMBER in name
        # As many digits as the last one has: so they are listed in their order.
        self.digits = len(str(count))
        for number in range(1, count + 1) if self.each else (1,):
            check_replaceable(self.path(number), "sample")
        folder = self.path(1).parent
        if not folder.is_dir():
            raise CharRNNError(f"There is no folder {folder}.", hint=f"Make it first: mkdir -p {folder}")

    def path(self, number: int) -> Path:
        """Return the file of a sample."""
        return Path(self.name.replace(NUMBER, f"{number:0{self.digits}}"))

    @contextmanager
    def written(self, number: int = 1) -> Iterator[BinaryIO]:
        """Give the file of a sample to write to; it takes its place when the block ends."""
        path = self.path(number)
        try:
            with replacing(path) as file:
                yield file
        except OSError as error:
            raise CharRNNError(
                f"{path} cannot be written: {error.strerror or error}.", hint="Name a file where you may write."
            ) from error


def files_of(name: str | None, count: int, is_one_table: bool) -> SampleFiles | None:
    """Return the files that --output names for so many samples; None where it is not given."""
    if name is None:
        return None
    if name == "-":
        raise CharRNNError("--output names a file; without it samples go to stdout.", hint="Leave it out.")
    if is_one_table and NUMBER in name:
        raise CharRNNError(
            f"{NUMBER} in --output writes each sample to a file of its own; --csv and --best print one table.",
            hint=f"Leave out {NUMBER}.",
        )
    return SampleFiles(name, count)
