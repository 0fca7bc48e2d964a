"""In which language a speaker's captions are heard: chosen, or found out once and kept; pure."""

from typing import Final

from transcripts.transcriber import Heard

ENOUGH_MS: Final = 2500
"""Of speech: from less, languages are guessed wrong too often."""

SURE: Final = 0.6
ATTEMPTS: Final = 4
"""Then the room's language it is."""


class SpeakerLanguage:
    """`room` is the first guess; `chosen` is what the speaker or the host said."""

    def __init__(self, room: str) -> None:
        self.chosen: str | None = None
        self._room = room
        self._found: str | None = None
        self._attempts = 0

    def to_ask(self, speech_ms: int) -> str | None:
        """What to tell the engine; None lets it find out."""
        known = self.chosen or self._found
        if known is None and speech_ms >= ENOUGH_MS and self._attempts < ATTEMPTS:
            return None
        return known or self._room

    def found(self, heard: Heard) -> str | None:
        """What to ask anew with, where the engine was not sure; it was asked with None."""
        self._attempts += 1
        if heard.language_probability >= SURE:
            self._found = heard.language
            return None
        return None if heard.language == self._room else self._room
