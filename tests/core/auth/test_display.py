import unicodedata

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.auth.display import MAX_NAME_CHARS, NameInvalid, clean_name


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
