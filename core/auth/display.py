"""Names, and other words, that people show to each other."""

import unicodedata

from core.errors import Invalid

MAX_NAME_CHARS = 80
_JOINERS = {"\u200c", "\u200d"}
"""Zero-width (non-)joiner: invisible, but Persian, Indic scripts and emoji need them."""

_REFUSED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_INVISIBLE = {"Zs", "Zl", "Zp", "Mn", "Me", "Cc", "Cf"}

_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that are drawn as nothing."""


_MOST_MARKS = 5
"""On one letter. Accents without end cover the lines above and below; thirty, as the Stream-Safe
Text Format of UAX #15 allows, still do. Thai writes two, Vietnamese two where it is decomposed,
Devanagari with nukta and candrabindu three, Hebrew with vowels, accents and meteg five, and so does
Burmese."""

_MOST_TIBETAN_MARKS = 8
"""There subjoined letters are marks too: the Tenfold Powerful One stacks so many on its first."""


class NameInvalid(Invalid):
    code = "name_invalid"
    title = "A name has 1 to 80 characters, at least one of them visible"


def clean_name(text: str) -> str:
    """`text` in NFC with single spaces. Raises NameInvalid.

    Control and direction characters are refused, since a name could rewrite the line it stands in.
    """
    name = " ".join(part for part in unicodedata.normalize("NFC", text).split(" ") if part)
    name = few_marks(name)
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise NameInvalid
    categories = [(char, unicodedata.category(char)) for char in name]
    if any(kind in _REFUSED and char not in _JOINERS for char, kind in categories):
        raise NameInvalid("a name has no control characters")
    if not is_visible(name):
        raise NameInvalid
    return name


def few_marks(text: str) -> str:
    """`text` without the marks that no script writes on one letter. Spacing marks have their own
    place in the line; joiners have none, and a letter goes on behind them."""
    kept: list[str] = []
    marks = 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
        elif char not in _JOINERS:
            marks = 0
        tibetan = "\u0f00" <= char <= "\u0fff"
        if char in _JOINERS or marks <= (_MOST_TIBETAN_MARKS if tibetan else _MOST_MARKS):
            kept.append(char)
    return "".join(kept)


def is_visible(text: str) -> bool:
    """Whether something of it is seen: not only spaces, controls, fillers and marks on nothing."""
    return any(
        char not in _FILLERS and unicodedata.category(char) not in _INVISIBLE for char in text
    )
