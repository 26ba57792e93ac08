"""The encoding of real sentences, from their bytes alone."""

import pytest

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.decoding import Decoder
from charrnn.text.guess import likely_encodings

JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n",
    "コンピュータで日本語の文章を書くときは、文字コードに注意が必要です。\n",
)
SIMPLIFIED = ("人工智能的发展在这几年里非常快，我们都可以看到它的作用。\n", "他说他不会来了，因为家里有人要出去。\n")
TRADITIONAL = ("我們這個國家的人在過去幾年裡都過得不錯。\n", "他說他不會來了，因為家裡有人要出去。\n")
KOREAN = (
    "나는 어제 친구와 함께 서울에 있는 도서관에 갔습니다.\n",
    "이 프로그램은 문자 단위의 언어 모델을 학습합니다.\n",
)
RUSSIAN = ("Все счастливые семьи похожи друг на друга.\n", "Мороз и солнце; день чудесный!\n")
GERMAN = (
    "Die Katze läuft über die Straße und hört nicht auf zu schreien.\n",
    "Größe und Maß: schön wäre es, „ähnlich“.\n",
)
FRENCH = ("Le garçon a été très étonné de voir où était l'élève.\n",)


@pytest.mark.parametrize(
    ("encoding", "sentences"),
    [
        ("shift_jis", JAPANESE),
        ("euc_jp", JAPANESE),
        ("gb18030", SIMPLIFIED),
        ("big5", TRADITIONAL),
        ("euc_kr", KOREAN),
        ("cp1251", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("utf-16-le", (JAPANESE[0].strip(), RUSSIAN[0].strip(".\n").replace(" ", ""))),
        ("cp1252", GERMAN[1:]),
        ("latin-1", (GERMAN[0], *FRENCH)),
    ],
)
def test_a_sentence_is_known_by_its_bytes(encoding: str, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        data = sentence.encode(encoding)
        assert likely_encodings(data)[0] == encoding, sentence
        # Among ASCII, repeated, and cut within a character.
        if encoding != "utf-16-le":
            assert likely_encodings(b"x = 1  # note\n" + data * 5 + data[:-2])[0] == encoding, sentence


def test_what_makes_no_sense_is_latin_1() -> None:
    for data in (b"", b"plain", b"\xff", b"abc\xff\xfedef", bytes(range(1, 256)), b"\x80\x81" * 99):
        assert likely_encodings(data) == ["latin-1"]
    assert likely_encodings(b"a\0b\0\xff") == ["utf-16-le"]
    for text in ("ab cd\n", JAPANESE[0] + " a\n" + JAPANESE[0], RUSSIAN[0] + "\n"):
        for form in ("utf-16-le", "utf-16-be"):
            data = text.encode(form)
            assert likely_encodings(data) == [form]
            # From the byte after that of a line break, and never what has failed.
            assert likely_encodings(b"\0" * (form == "utf-16-le") + data) == [form]
            assert likely_encodings(data, form) == []


def test_the_hint_proposes_it() -> None:
    text = "plain\n" * 30 + JAPANESE[0]
    with pytest.raises(CharRNNError, match="is not UTF-8") as caught:
        Decoder(TextConfig(), "it").feed(text.encode("shift_jis"), last=True)
    assert "`encoding='shift_jis'`" in (caught.value.hint or "") and "latin-1" not in (caught.value.hint or "")
    # As it comes from a file, a block at a time.
    decoder = Decoder(TextConfig(), "it")
    decoder.feed(b"ascii\n" * 1000)
    with pytest.raises(CharRNNError, match="is not UTF-8") as caught:
        decoder.feed(("more\n" * 500 + RUSSIAN[0] * 9).encode("koi8-r"))
    assert "`encoding='koi8-r'`" in (caught.value.hint or "")
