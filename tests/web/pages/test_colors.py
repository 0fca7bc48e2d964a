"""Words can be read in both themes: WCAG 2.2, 1.4.3 (4.5 to 1) and 1.4.11 (3 to 1)."""

import re
from pathlib import Path

import pytest

CSS = Path(__file__).parents[3] / "web" / "static" / "css"
TEXT = [
    ("ink", "paper"),
    ("ink", "card"),
    ("quiet", "paper"),
    ("quiet", "card"),
    ("quiet", "pill"),
    ("quiet", "sunk"),
    ("accent", "paper"),
    ("accent", "card"),
    ("accent", "accent-soft"),
    ("ink", "accent-soft"),
    ("on-accent", "accent"),
    ("live", "card"),
    ("live", "live-soft"),
    ("good", "card"),
]
SHAPES = [("field", "card"), ("field", "paper"), ("accent", "paper"), ("speaking", "card")]


def colors(theme: str) -> dict[str, str]:
    css = (CSS / "encore.css").read_text()
    dark_at = css.index("@media (prefers-color-scheme: dark)")
    end = css.index("*,", dark_at)
    part = css[:dark_at] if theme == "light" else css[dark_at:end]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_stands_out(theme: str, text: str, ground: str) -> None:
    found = colors(theme)
    assert contrast(found[text], found[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_borders_and_rings_stand_out(theme: str, shape: str, ground: str) -> None:
    found = colors(theme)
    assert contrast(found[shape], found[ground]) >= 3


def test_initials_stand_out_on_every_face() -> None:
    tones = re.findall(
        r"\.tone-\d \{ background: (#\w{6}); color: (#\w{6})", (CSS / "rooms.css").read_text()
    )
    assert len(tones) == 8
    for ground, text in tones:
        assert contrast(text, ground) >= 4.5
