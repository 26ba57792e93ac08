"""The files to which samples are written: one file for all samples, or one for each."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charrnn.atomic import check_replaceable, replacing, tidy
from charrnn.cli.signals import tidied
from charrnn.errors import CharRNNError

# In the name of a file, the number of the sample replaces this.
NUMBER = "{n}"


class SampleFiles:
    """The files of --output: one file or, if {n} is in its name, one for each of `count` samples, numbered from 1.

    An existing file is never replaced, unless it is empty; this is checked before anything is sampled. A file appears
    when it is complete. A signal that ends the process leaves no incomplete file.
    """

    def __init__(self, name: str, count: int):
        self.name, self.each = name, NUMBER in name
        # All numbers have as many digits as the last one, so that a listing shows the files in order.
        self.digits = len(str(count))
        folder = Path(name).parent
        if NUMBER in str(folder):
            raise CharRNNError(
                f"--output has {NUMBER} in the name of a folder; it must be in the name of the file.",
                hint=f"Example: --output 'samples/{NUMBER}.txt'",
            )
        if not folder.is_dir():
            raise CharRNNError(f"There is no folder {folder}.", hint=f"Make it first: mkdir -p {folder}")
        for path in self._existing(folder, count) if self.each else [self.path(1)]:
            check_replaceable(path, "sample")

    def _existing(self, folder: Path, count: int) -> list[Path]:
        """Return the files of samples that exist; the folder is listed, as there may be millions of samples."""
        first, *more = map(re.escape, Path(self.name).name.split(NUMBER))
        # If the number occurs several times in the name, it is the same number each time. In some file systems upper
        # and lower case make no difference; the path itself shows whether the file exists.
        own = re.compile(f"{first}([0-9]{{{self.digits}}})" + r"\1".join(more), re.IGNORECASE)
        found = sorted({int(match[1]) for entry in os.listdir(folder) if (match := own.fullmatch(entry))})
        return [self.path(number) for number in found if 1 <= number <= count]

    def path(self, number: int) -> Path:
        """Return the file of a sample."""
        return Path(self.name.replace(NUMBER, f"{number:0{self.digits}}"))

    @contextmanager
    def written(self, number: int = 1) -> Iterator[BinaryIO]:
        """Yield the file of a sample, open for writing; it appears under its name when the block ends."""
        path = self.path(number)
        try:
            with tidied(tidy), replacing(path) as file:
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
