"""How a model reads texts: they become ids of its vocabulary, in the same way as in training."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from charrnn.api.generation import Notify, unheard
from charrnn.api.given import check_given, check_unknown, checked_ids
from charrnn.config import ModelConfig, TextConfig
from charrnn.errors import CharRNNError, readable_by
from charrnn.inference import model as inference
from charrnn.runs.folder import run_of_file
from charrnn.text.decoding import Decoder, prepare
from charrnn.text.vocabulary import Vocabulary

# The text that generation continues: a str, its bytes, or ids of the model's vocabulary.
Prime = str | bytes | np.ndarray


class Encoder:
    """Turns texts into ids for a network, whose checkpoint is `path`; `notify` is called with messages for the user."""

    def __init__(self, network: inference.Model, path: Path, notify: Notify = unheard):
        self.network, self.path, self._notify = network, path, notify

    @cached_property
    def run(self) -> str:
        """Return the name of the model's run, or the path of its file if the file does not belong to a run."""
        return run_of_file(self.path) or str(self.path)

    @property
    def config(self) -> ModelConfig:
        """Return the model's cell and size."""
        return self.network.config

    @property
    def vocab(self) -> Vocabulary:
        """Return the characters that the model knows."""
        return self.network.vocab

    @property
    def text(self) -> TextConfig:
        """Return how the model's text is read: for example its encoding, and where documents begin and end."""
        return self.network.text

    def read_as(self, encoding: str | None = None, errors: str | None = None) -> TextConfig:
        """Return how a text is read: as given; if not given, in UTF-8, with the other settings of training."""
        check_given(encoding=encoding, errors=errors)
        own = self.network.reads
        if own.bytes and encoding:
            raise CharRNNError(f"{self.run} is a model of bytes, which have no encoding.", hint="Leave out `encoding`.")
        return replace(own, encoding=encoding or own.encoding, errors=errors or own.errors)

    def encode(self, text: Prime, unknown: str | None = None, where: str = "`text`") -> np.ndarray:
        """Return the ids of a text, int32 (characters,), as the model was trained to see it.

        unknown: what to do with characters that the model has never seen: "error" (a CharRNNError that says `where`),
        "skip", or "replace" by the unknown symbol, U+FFFD, ? or a space.
        """
        check_unknown(unknown)
        check_given(**{where.strip("`"): text})
        if isinstance(text, np.ndarray):
            return checked_ids(where.strip("`"), text, self.vocab.size)
        with readable_by():
            text = self._decoded(text, where, None) if isinstance(text, bytes) else prepare(text, self.network.reads)
        return self._admitted(text, unknown, where)

    def encode_file(
        self, data: bytes, unknown: str | None = None, where: str = "`prime`", encoding: str | None = None
    ) -> np.ndarray:
        """Return the ids of a file's content without one line break at its end, so that its last line can be continued.

        encoding: of the file; by default UTF-8. The other arguments are those of `encode`. Raise CharRNNError for a
        file that is not text, such as a PDF, unless the model is of bytes.
        """
        from charrnn.text.formats import kind_of, no_text

        check_given(data=data)
        with readable_by("encoding"):
            if not self.text.bytes and (kind := kind_of(data)):
                raise no_text(where, None, kind)
            text = self._decoded(data, where, encoding)
        return self._admitted(text.removesuffix("\n").removesuffix("\r"), unknown, where)

    def _decoded(self, data: bytes, where: str, encoding: str | None) -> str:
        decoder = Decoder(self.read_as(encoding), where)
        return decoder.feed(data) + decoder.close()

    def _admitted(self, text: str, unknown: str | None, where: str) -> np.ndarray:
        ids, notice = self.vocab.admit(text, unknown, where)
        if notice:
            self._notify(notice)
        return ids
