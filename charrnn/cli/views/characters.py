"""Single characters of a vocabulary as they are shown: escaped where they could not be seen."""

from charrnn.cli.console import printable


def shown(symbol: str, of_bytes: bool) -> str:
    """Return a character, or a byte as the character that it is in ASCII, else by its number."""
    return f"\\x{ord(symbol):02x}" if of_bytes and symbol > "~" else printable(symbol)


def quoted(symbol: str, of_bytes: bool) -> str:
    """Return a character in quotes, so that spaces are seen."""
    return f"'{shown(symbol, of_bytes)}'" if of_bytes else repr(symbol)
