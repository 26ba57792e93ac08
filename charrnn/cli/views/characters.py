"""Single characters of a vocabulary as they are shown: invisible ones are escaped."""

from charrnn.cli.console import printable


def shown(symbol: str, of_bytes: bool) -> str:
    """Return a character as it is shown; a byte is shown as its ASCII character, or else as its number."""
    return f"\\x{ord(symbol):02x}" if of_bytes and symbol > "~" else printable(symbol)


def quoted(symbol: str, of_bytes: bool) -> str:
    """Return a character in quotes, so that spaces are visible."""
    return f"'{shown(symbol, of_bytes)}'" if of_bytes else repr(symbol)
