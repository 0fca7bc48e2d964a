"""Names that people show to each other."""

import unicodedata

from core.errors import Invalid

MAX_NAME_CHARS = 80
_JOINERS = {"\u200c", "\u200d"}
"""Zero-width (non-)joiner: invisible, but Persian, Indic scripts and emoji need them."""

_REFUSED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_INVISIBLE = {"Zs", "Zl", "Zp", "Mn", "Me", "Cc", "Cf"}

_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that are drawn as nothing."""


class NameInvalid(Invalid):
    code = "name_invalid"
    title = "A name has 1 to 80 characters, at least one of them visible"


def clean_name(text: str) -> str:
    """`text` in NFC with single spaces. Raises NameInvalid.

    Control and direction characters are refused, since a name could rewrite the line it stands in.
    """
    name = " ".join(part for part in unicodedata.normalize("NFC", text).split(" ") if part)
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise NameInvalid
    categories = [(char, unicodedata.category(char)) for char in name]
    if any(kind in _REFUSED and char not in _JOINERS for char, kind in categories):
        raise NameInvalid("a name has no control characters")
    if not is_visible(name):
        raise NameInvalid
    return name


def is_visible(text: str) -> bool:
    """Whether something of it is seen: not only spaces, controls, fillers and marks on nothing."""
    return any(
        char not in _FILLERS and unicodedata.category(char) not in _INVISIBLE for char in text
    )
