import unicodedata

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.auth.display import MAX_NAME_CHARS, NameInvalid, clean_name, few_marks


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada", "Ada"),
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("x" * MAX_NAME_CHARS, "x" * MAX_NAME_CHARS),
        ("<script>", "<script>"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "x" * (MAX_NAME_CHARS + 1),
        "a\nb",
        "a\tb",
        "a\x00b",
        "a\x7fb",
        "abc\u202edcba",
        "a\u2066b",
        "\u3164\u2800",
        "\ufeffAda",
        "a\u2028b",
        "\ue000",
        "\u200d",
        "\u200d\u200c",
        "\u00a0",
        "\u0301",
        "\ud800",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        clean_name(text)


@hypothesis_settings(deadline=None)
@given(st.text(max_size=100))
def test_a_clean_name_is_clean(text: str) -> None:
    try:
        name = clean_name(text)
    except NameInvalid:
        return
    assert clean_name(name) == name
    assert 1 <= len(name) <= MAX_NAME_CHARS
    assert unicodedata.is_normalized("NFC", name)
    assert not any(unicodedata.category(char) == "Cc" for char in name)


@pytest.mark.parametrize(
    "text",
    [
        "ที่นี่ น้ำ ปู่ย่า",
        "שִׁ֣יר הַֽמַּעֲל֑וֹת שָּֽׁ֣ב",
        unicodedata.normalize("NFD", "Tiếng Việt, ngưỡng cửa"),
        "हिन्दी ज़्यादा हूँ ड़ँ",
        "လွှို့ လျှို့ဝှက်",
        "\u0f67\u0f90\u0fb5\u0fa8\u0fb3\u0fba\u0fbc\u0fbb\u0f82",
        "بِسْمِ ٱللّٰهِ",
        "ᾧ " + unicodedata.normalize("NFD", "ᾧ"),
        "👩🏽\u200d🚀 ❤\ufe0f\u200d🔥 👨\u200d👩\u200d👧 1\ufe0f\u20e3 🏳\ufe0f\u200d🌈",
        "می\u200cخواهم क्\u200dष",
    ],
)
def test_what_scripts_write_stays_whole(text: str) -> None:
    assert few_marks(text) == text


@pytest.mark.parametrize("between", ["", "\u200d", "\u200c"])
def test_marks_are_not_piled_up(between: str) -> None:
    """Joiners are no letters: what comes behind them is on the same one."""
    piled = between.join(["e", *("\u0336\u033f\u0489\u20dd\u034f" * 9)])
    assert few_marks(piled).replace(between, "") == "e\u0336\u033f\u0489\u20dd\u034f"
    assert few_marks("ก" + "\u0e47" * 99 + "ก\u0e47") == "ก" + "\u0e47" * 5 + "ก\u0e47"


_PIECES = st.sampled_from("eกשཧ \u0301\u0336\u0489\u0e47\u05b8\u0f90\ufe0f\u200d\u200c\u0903")


@given(st.text(_PIECES, max_size=60) | st.text(max_size=60))
def test_no_letter_has_many_marks_and_all_letters_stay(text: str) -> None:
    kept = few_marks(text)
    assert few_marks(kept) == kept
    assert bases(kept) == bases(text)
    assert unicodedata.normalize("NFC", few_marks(nfc := unicodedata.normalize("NFC", text))) == (
        few_marks(nfc)
    )
    marked = kept.replace("\u200d", "").replace("\u200c", "")
    flags = ["x" if unicodedata.category(char) in ("Mn", "Me") else " " for char in marked]
    assert max(map(len, "".join(flags).split()), default=0) <= 8


def bases(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) not in ("Mn", "Me")]
