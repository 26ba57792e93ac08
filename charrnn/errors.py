"""The exceptions that users are shown."""


class CharRNNError(Exception):
    """A mistake that its user can mend: what happened, what was expected, how to fix it.

    `message` is one sentence or two; `hint`, if there is one, says what to type or change.
    The command line prints both and exits with 1; a library user catches the exception.
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class NotWritten(CharRNNError):
    """A file could not be written (the disk is full, say); what stood there before is intact."""
