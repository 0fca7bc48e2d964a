"""A Transcriber where it does not matter which words were said: quick, and always the same.

It passes the same contract as the real one (test_transcriber_contract.py).
"""

import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np

from transcripts.engines import Engine
from transcripts.transcriber import (
    RATE,
    WINDOW_SECONDS,
    Decoding,
    Heard,
    HeardSegment,
    HeardWord,
    LanguageUnknown,
    Model,
    Pcm,
    TooMuchSound,
)

WORD_SAMPLES: Final = RATE * 2 // 5
"""Everybody speaks 2.5 words a second."""

LOUD: Final = 0.003
SCRIPT: Final = ("rooms", "that", "do", "not", "vanish", "are", "worth", "coming", "back", "to")
LANGUAGES: Final = frozenset({"en", "it", "fr", "de", "es"})


class ScriptedTranscriber:
    """Hears one word of its script in every 0.4 s that are loud; which one, the samples decide."""

    def __init__(self, script: Sequence[str] = SCRIPT, *, language: str = "en") -> None:
        self.script = tuple(script)
        self.language = language
        self.asked: list[Decoding] = []
        """How it was asked to listen, in order."""

    @property
    def model(self) -> Model:
        joined = " ".join(self.script).encode(errors="surrogatepass")
        digest = f"{zlib.crc32(joined):064x}"
        return Model("scripted", digest, "cpu", "none")

    async def ready(self) -> Model:
        return self.model

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        self.asked.append(decoding)
        return self._answer(pcm, decoding.language, timed=True)

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        _check(pcm, None)
        if not len(pcm):
            return []
        others = sorted(LANGUAGES - {self.language})
        return [(self.language, 0.9), *((other, 0.1 / len(others)) for other in others)]

    async def caption(self, pcm: Pcm, language: str | None) -> Heard:
        return self._answer(pcm, language, timed=False)

    def _answer(self, pcm: Pcm, language: str | None, *, timed: bool) -> Heard:
        _check(pcm, language)
        words = self._words(pcm)
        probability = 1.0 if language else 0.9
        if not words:
            return Heard(language or self.language, probability, ())
        segment = HeardSegment(
            start_s=words[0].start_s,
            end_s=words[-1].end_s,
            text="".join(word.text for word in words).strip(),
            words=words if timed else (),
            no_speech_probability=0.01,
            average_log_probability=-0.2,
            compression_ratio=1.2,
        )
        return Heard(language or self.language, probability, (segment,))

    def _words(self, pcm: Pcm) -> tuple[HeardWord, ...]:
        words = []
        for at in range(0, len(pcm), WORD_SAMPLES):
            block = pcm[at : at + WORD_SAMPLES]
            if float(np.sqrt(np.mean(block**2))) >= LOUD:
                words.append(self._word(block, at / RATE))
        return tuple(words)

    def _word(self, block: Pcm, start_s: float) -> HeardWord:
        which = zlib.crc32((block * 32767).astype("<i2").tobytes()) % len(self.script)
        return HeardWord(start_s, start_s + len(block) / RATE, f" {self.script[which]}", 0.9)


def scripted_engine(transcriber: ScriptedTranscriber | None = None) -> Engine:
    """What job bodies get their engine from; it is always free."""

    @asynccontextmanager
    async def opened(_model: str | None) -> AsyncIterator[ScriptedTranscriber]:
        yield transcriber or ScriptedTranscriber()

    return opened


def _check(pcm: Pcm, language: str | None) -> None:
    if len(pcm) > RATE * WINDOW_SECONDS:
        raise TooMuchSound
    if language is not None and language not in LANGUAGES:
        raise LanguageUnknown
