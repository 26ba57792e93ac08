"""The files to which samples are written: one file for all samples, or one for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charrnn.atomic import check_replaceable, replacing
from charrnn.errors import CharRNNError

# In the name of a file, the number of the sample replaces this.
NUMBER = "{n}"


class SampleFiles:
    """The files of --output: one file or, if {n} is in its name, one for each of `count` samples, numbered from 1.

    An existing file is never replaced; this is checked before anything is sampled. A file appears when it is complete.
    """

    def __init__(self, name: str, count: int):
        self.name, self.each = name, NUMBER in name
        # All numbers have as many digits as the last one, so that a listing shows the files in order.
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
        """Yield the file of a sample, open for writing; it appears under its name when the block ends."""
        path = self.path(number)
        try:
            with replacing(path) as file:
                yield file
        except OSError as error:
            raise CharRNNError(
                f"{path} cannot be written: {error.strerror or error}.",
                hint="Name a file in a folder that is writeable.",
            ) from error


def files_of(name: str | None, count: int, is_one_table: bool) -> SampleFiles | None:
    """Return the files that --output names for `count` samples, None without --output."""
    if name is None:
        return None
    if name == "-":
        raise CharRNNError(
            "--output needs a file, not '-'; without --output, samples go to stdout.", hint="Leave out --output."
        )
    if is_one_table and NUMBER in name:
        raise CharRNNError(
            f"{NUMBER} in --output writes each sample to its own file, but --csv and --best print one table.",
            hint=f"Leave out {NUMBER}.",
        )
    return SampleFiles(name, count)
