"""What a tip's Stars buy: the length of its message, and how much it stands out. Pure."""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from core.auth.display import few_marks, is_visible
from core.errors import Invalid
from payouts.amounts import stars_said

MOST_STARS: Final = 1_000_000
"""In one tip."""


@dataclass(frozen=True, slots=True)
class Tier:
    name: str
    from_stars: int
    message_chars: int
    """Code points that a message may have."""

    color: str
    """`#rrggbb`, with at least 4.5 to 1 between it and white (WCAG 2.2, 1.4.3)."""

    seconds: int
    """How long the tip stays on top in a live room."""


TIERS: Final = (
    Tier("spark", 1, 40, "#5f6b7a", 0),
    Tier("glow", 10, 80, "#1f6feb", 5),
    Tier("flame", 50, 150, "#0b7a75", 15),
    Tier("blaze", 100, 200, "#2e7d32", 30),
    Tier("flare", 500, 250, "#b45309", 120),
    Tier("comet", 1_000, 300, "#c2185b", 300),
    Tier("nova", 5_000, 400, "#7b1fa2", 900),
    Tier("supernova", 10_000, 500, "#b3261e", 1_800),
)
"""The only definition of tiers. Everything grows from each tier to the next."""

_SPACES: Final = re.compile(r"\s+")
_JOINERS: Final = "\u200c\u200d"
"""They join emoji, and letters of Persian and Indic words; all other invisible characters go."""


class MessageTooLong(Invalid):
    code = "message_too_long"
    title = "The message is longer than this tip has room for"


def tier_of(stars: int) -> Tier:
    return TIERS[bisect_right(TIERS, stars, key=lambda tier: tier.from_stars) - 1]


def message_for(stars: int, text: str) -> str | None:
    """The message as it is shown, on one line; None if it shows nothing. Raises MessageTooLong."""
    message, tier = plain_line(text), tier_of(stars)
    if len(message) > tier.message_chars:
        raise MessageTooLong(
            f"{len(message)} characters; with {stars_said(stars)} there is "
            f"room for {tier.message_chars}: shorten it, or tip more.",
            max_chars=tier.message_chars,
        )
    return message or None


def plain_line(text: str) -> str:
    """The text on one line, in NFC, without control, direction and other invisible characters."""
    spaced = _SPACES.sub(" ", text)
    kept = (char for char in spaced if unicodedata.category(char)[0] != "C" or char in _JOINERS)
    written = few_marks(unicodedata.normalize("NFC", "".join(kept)))
    line = _SPACES.sub(" ", written).strip(" " + _JOINERS)
    return line if is_visible(line) else ""
