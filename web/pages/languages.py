"""Languages by the names that their own speakers give them."""

OFFERED = (
    ("en", "English"),
    ("it", "Italiano"),
    ("fr", "Français"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("pt", "Português"),
)
"""By the form that makes a room; the API takes any."""

_OTHERS = {
    "ar": "العربية",
    "ca": "Català",
    "cs": "Čeština",
    "da": "Dansk",
    "el": "Ελληνικά",
    "fi": "Suomi",
    "he": "עברית",
    "hi": "हिन्दी",
    "hu": "Magyar",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "no": "Norsk",
    "pl": "Polski",
    "ro": "Română",
    "ru": "Русский",
    "sv": "Svenska",
    "tr": "Türkçe",
    "uk": "Українська",
    "zh": "中文",
}
_NAMES = _OTHERS | dict(OFFERED)
SPOKEN = (("", "Detected"), *sorted(_NAMES.items(), key=lambda one: one[1].casefold()))
"""For the choice of what somebody speaks."""


def language_name(tag: str) -> str:
    """Of a BCP 47 tag: `English`, `Português (BR)`; the tag itself where we know no name."""
    language, _, rest = tag.partition("-")
    name = _NAMES.get(language.lower())
    if name is None:
        return tag
    return f"{name} ({rest})" if rest else name
