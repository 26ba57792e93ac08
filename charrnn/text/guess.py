"""A guess at the encoding of bytes that are not in the expected one: for a hint, never for reading."""

import codecs

# The most common characters of the texts of a language; for Japanese, syllables.
_JAPANESE = (
    "のにたいをはしがとてでなるれからまもこすりさっけそうきくんど"
    "みせよだつあえおじちめわばずアイウコスタトドプメラルレロンー"
)
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
)
_KOREAN = "이다는을의에가고하지한로기은도사를리시나어인대그서해자들일아수있라정보부장전여게만과구제상습니"
_RUSSIAN = "оеаинтсрвлкмдпу"
_WESTERN = "äöüßéèàçêñóíáúâôîëïùãõœøåæÄÖÜÉ’‘“”„–—…€«»°§·"
_UTF16 = _JAPANESE + _SIMPLIFIED + _TRADITIONAL + _KOREAN + _RUSSIAN
_ENCODINGS = (
    ("shift_jis", _JAPANESE),
    ("euc_jp", _JAPANESE),
    ("gb18030", _SIMPLIFIED),
    ("big5", _TRADITIONAL),
    ("euc_kr", _KOREAN),
    ("cp1251", _RUSSIAN),
    ("koi8-r", _RUSSIAN),
    ("cp1252", _WESTERN),
    ("latin-1", _WESTERN),
    ("utf-16-le", _UTF16),
    ("utf-16-be", _UTF16),
)
# The fraction of common characters in a plausible text, at least, and at least relative to the most likely encoding.
_PLAUSIBLE, _NEAR = 0.2, 0.5
# Bytes that are enough for a guess.
_LOOKED_AT = 1 << 14


def likely_encodings(data: bytes, failed: str = "") -> list[str]:
    """Return the plausible encodings of bytes, the most likely first; if there is none, latin-1, which fits all bytes.

    For damaged UTF-16, only its other form is tried.

    data: bytes of a text in an unknown encoding that has ASCII within, from the beginning of a line; they may end
    within a character. failed: the encoding that they are not in.
    """
    if b"\0" in data[:100]:
        return _utf16(data[:_LOOKED_AT], failed.lower())
    shares = {name: _share(data[:_LOOKED_AT], name, common) for name, common in _ENCODINGS}
    enough = max(_PLAUSIBLE, _NEAR * max(shares.values()))
    likely = sorted((name for name in shares if shares[name] >= enough), key=lambda name: -shares[name])
    # cp1252 and latin-1 differ only in a few signs, which cp1252 has.
    unused = "latin-1" if shares["cp1252"] > shares["latin-1"] else "cp1252"
    return [name for name in likely if name not in (unused, failed.lower())] or ["latin-1"]


def _utf16(data: bytes, failed: str) -> list[str]:
    """Return the form of UTF-16 in which more characters are ASCII, or common ones."""
    # A line begins after the byte 10, which is the first byte of a pair in one form, and the second in the other.
    forms = {"utf-16-le": data.removeprefix(b"\0"), "utf-16-be": data}
    texts = {name: form.decode(name, "ignore") for name, form in forms.items()}
    common = {"\n", *map(chr, range(32, 127)), *_UTF16}
    best = max(texts, key=lambda name: sum(character in common for character in texts[name]))
    return [] if best == failed else [best]


def _share(data: bytes, encoding: str, common: str) -> float:
    """Return the fraction of non-ASCII characters that are common and in a plausible place; 0 if it is not a text."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return 0.0
    foreign = [place for place, character in enumerate(text) if character > "\x7f"]
    if not foreign:
        return 0.0
    wanted, found = set(common), 0
    for place in foreign:
        beside = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        # Western accents are single among ASCII letters; letters of other scripts are beside letters of their script.
        alone = beside.isascii()
        found += text[place] in wanted and alone is (common is _WESTERN)
    return found / len(foreign)
