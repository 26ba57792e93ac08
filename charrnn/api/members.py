"""Members that a user's object of JSON has: they come out beside the score as they came in."""

from collections.abc import Sequence

from charrnn.api.generation import Notify
from charrnn.api.json_text import json_line, without_constants
from charrnn.text.lines import Member

# Goes before the name of a member that has the name of one of ours.
PREFIX = "input_"


class Passing:
    """Puts a user's members before ours; `notify` is told, once for each, what cannot come out as it came in."""

    def __init__(self, notify: Notify):
        self._notify, self._told = notify, set[str]()

    def line(self, number: int, theirs: Sequence[Member], ours: dict[str, str]) -> str:
        """Return the object of line `number`: values are as written in JSON, and no name is there twice."""
        taken = {*ours, *(member.name for member in theirs)}
        passed = []
        for member in theirs:
            name = member.name
            while name in ours or (name != member.name and name in taken):
                name = PREFIX + name
            if name != member.name:
                self._tell(
                    name, f"Line {number:,} has a member {member.name!r}, as the score has: it comes out as {name!r}"
                )
            value, constants = without_constants(member.written)
            if constants:
                self._tell(
                    "", f"Line {number:,} has {constants[0]} under {member.name!r}, which JSON has not: it becomes null"
                )
            passed.append((name, value))
        return json_line([*passed, *ours.items()])

    def _tell(self, what: str, notice: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._notify(f"{notice}, and so in other lines.")
