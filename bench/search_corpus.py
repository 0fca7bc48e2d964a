"""A million cues in three languages, made of invented words by Zipf's law; seeded.

Roots are built of each language's syllables and take its endings, so that stemming has work to
do; real function words stand between them, as in speech.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

CUES_A_RECORDING: Final = 200
SPEAKERS: Final = 4
ROOTS: Final = 30_000
FLATTENED: Final = 1.5
"""Zipf and Mandelbrot: the frequency of rank r is that of 1 / (r + this)."""

FUNCTION_WORDS_SHARE: Final = 0.45


@dataclass(frozen=True, slots=True)
class Tongue:
    code: str
    onsets: str
    vowels: str
    endings: tuple[str, ...]
    function_words: str


TONGUES: Final = (
    Tongue(
        "en",
        "b br c cl d dr f g gr h l m n p pl r s st t tr w",
        "a e i o u ea oo",
        ("", "s", "ed", "ing"),
        "the of and to in a is that it was for on with as he be at by this had",
    ),
    Tongue(
        "it",
        "b c d f g l m n p r s t v sc gl tr br",
        "a e i o u ia io",
        ("o", "a", "i", "are"),
        "di che la il un a per in una sono mi ho lo ma ha le si ti con",
    ),
    Tongue(
        "fr",
        "b c d f g j l m n p r s t v ch tr br",
        "a e i o u ou eau oi",
        ("e", "es", "er", "ait"),
        "de la le et les des en un du une que est pour qui dans a par plus",
    ),
)


@dataclass(frozen=True, slots=True)
class Words:
    """`forms[root][ending]`; the smaller a root's number, the more common it is."""

    tongue: Tongue
    forms: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MadeCue:
    number: int
    recording: int
    speaker: int
    start_ms: int
    language: str
    words: tuple[str, ...]


def invent(tongue: Tongue, seed: int) -> Words:
    """Roots of two or three syllables and a last consonant, each once."""
    random = np.random.default_rng([seed, *tongue.code.encode()])
    onsets, vowels = tongue.onsets.split(), tongue.vowels.split()
    syllables = [onset + vowel for onset in onsets for vowel in vowels]
    roots: dict[str, None] = {}
    while len(roots) < ROOTS:
        for first, second, third, last in random.integers(0, 1 << 30, (ROOTS, 4)).tolist():
            middle = syllables[second % len(syllables)] if third % 2 else ""
            end = syllables[third % len(syllables)] + "lmnrtd"[last % 6]
            roots.setdefault(syllables[first % len(syllables)] + middle + end)
    forms = [tuple(root + end for end in tongue.endings) for root in list(roots)[:ROOTS]]
    return Words(tongue, forms)


def make_cues(words: list[Words], recordings: int, seed: int) -> Iterator[MadeCue]:
    """By recording, each in one language, its speakers in turn."""
    random = np.random.default_rng(seed)
    likelihood = np.cumsum(1 / (np.arange(ROOTS) + FLATTENED + 1))
    likelihood /= likelihood[-1]
    for recording in range(recordings):
        language = words[recording % len(words)]
        lengths = random.integers(6, 19, CUES_A_RECORDING)
        said = iter(_words(language, random, likelihood, int(lengths.sum())))
        for at, length in enumerate(lengths):
            yield MadeCue(
                number=recording * CUES_A_RECORDING + at,
                recording=recording,
                speaker=at // 5 % SPEAKERS,
                start_ms=at * 4_000,
                language=language.tongue.code,
                words=tuple(next(said) for _ in range(length)),
            )


def _words(
    language: Words,
    random: np.random.Generator,
    likelihood: npt.NDArray[np.float64],
    count: int,
) -> list[str]:
    tongue = language.tongue
    roots = np.searchsorted(likelihood, random.random(count))
    endings = random.integers(0, len(tongue.endings), count)
    functional = random.random(count) < FUNCTION_WORDS_SHARE
    functions = tongue.function_words.split()
    chosen = random.integers(0, len(functions), count)
    return [
        functions[function] if is_function else language.forms[root][ending]
        for root, ending, is_function, function in zip(
            roots.tolist(), endings.tolist(), functional.tolist(), chosen.tolist(), strict=True
        )
    ]
