"""The names of characters."""

import unicodedata

# Unicode gives control characters no name of their own; these are its formal aliases, U+0000 to U+001F.
# fmt: off
_CONTROLS = (
    "NULL", "START OF HEADING", "START OF TEXT", "END OF TEXT", "END OF TRANSMISSION", "ENQUIRY", "ACKNOWLEDGE",
    "ALERT", "BACKSPACE", "CHARACTER TABULATION", "LINE FEED", "LINE TABULATION", "FORM FEED", "CARRIAGE RETURN",
    "SHIFT OUT", "SHIFT IN", "DATA LINK ESCAPE", "DEVICE CONTROL ONE", "DEVICE CONTROL TWO", "DEVICE CONTROL THREE",
    "DEVICE CONTROL FOUR", "NEGATIVE ACKNOWLEDGE", "SYNCHRONOUS IDLE", "END OF TRANSMISSION BLOCK", "CANCEL",
    "END OF MEDIUM", "SUBSTITUTE", "ESCAPE", "INFORMATION SEPARATOR FOUR", "INFORMATION SEPARATOR THREE",
    "INFORMATION SEPARATOR TWO", "INFORMATION SEPARATOR ONE",
)
# fmt: on
_OTHER_CONTROLS = {"\x7f": "DELETE", "\x85": "NEXT LINE"}
_NAMELESS = {"Cc": "CONTROL CHARACTER", "Co": "PRIVATE USE"}


def character_name(character: str) -> str:
    """Return the Unicode name of a character, for a control character its formal alias."""
    if character < " ":
        return _CONTROLS[ord(character)]
    nameless = _OTHER_CONTROLS.get(character) or _NAMELESS.get(unicodedata.category(character), "UNASSIGNED")
    return unicodedata.name(character, nameless)
