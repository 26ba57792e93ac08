"""The members of a user's JSON object, which are printed with the score, unchanged."""

from collections.abc import Sequence

from charrnn.api.generation import Notify
from charrnn.api.json_text import json_line, without_constants
from charrnn.text.lines import Member

# Is put before the name of a user's member if the score has a member of the same name.
PREFIX = "input_"


class Passing:
    """Puts a user's members before those of the score; `notify` gets each kind of change once."""

    def __init__(self, notify: Notify):
        self._notify, self._told = notify, set[str]()

    def line(self, number: int, theirs: Sequence[Member], ours: dict[str, str]) -> str:
        """Return the object for line `number`; values are written as in the user's JSON, and no name occurs twice."""
        taken = {*ours, *(member.name for member in theirs)}
        passed = []
        for member in theirs:
            name = member.name
            while name in ours or (name != member.name and name in taken):
                name = PREFIX + name
            if name != member.name:
                self._tell(
                    name, f"Line {number:,} has a member {member.name!r}, as the score has: it is renamed to {name!r}"
                )
            value, constants = without_constants(member.written)
            if constants:
                self._tell(
                    "",
                    f"Line {number:,} has {constants[0]} in {member.name!r}, which is not valid JSON: it becomes null",
                )
            passed.append((name, value))
        return json_line([*passed, *ours.items()])

    def _tell(self, what: str, notice: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._notify(f"{notice}, also in other lines.")
