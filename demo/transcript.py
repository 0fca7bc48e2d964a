"""The transcript as a client reads it: waited for, compared with the script, searched."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from demo.client import Person
from demo.script import Script, Turn
from transcripts.accuracy import Accuracy, Said, compare, normalized
from transcripts.accuracy import Turn as SpokenTurn
from transcripts.words import Span

POLL_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 240.0
"""Without any progress: a busy machine takes its time for a window."""

PAUSE_MS: Final = 2000

Cue = dict[str, Any]


class NoTranscript(Exception):  # noqa: N818 - what happened, as the caller reads it
    """There is none, or it holds what it must not, or is not found."""


@dataclass(frozen=True, slots=True)
class Transcript:
    speakers: list[dict[str, Any]]
    cues: list[Cue]

    @property
    def turns(self) -> list[tuple[int, str, str]]:
        """When, who and what, one entry until somebody else speaks or nobody does."""
        turns: list[tuple[int, str, str]] = []
        last: Cue = {"speaker": None, "end_ms": 0}
        for cue in self.cues:
            text = " ".join(str(cue["text"]).split())
            paused = cue["start_ms"] - last["end_ms"] > PAUSE_MS
            if cue["speaker"] != last["speaker"] or paused:
                turns.append((cue["start_ms"], cue["speaker"], text))
            else:
                turns[-1] = (*turns[-1][:2], f"{turns[-1][2]} {text}")
            last = cue
        return turns


async def published(person: Person, recording_id: str, say: Callable[[str], None]) -> Transcript:
    """Once it is; `say` is told of progress. Raises NoTranscript."""
    path = f"/recordings/{recording_id}/transcript"
    told, since = "", time.monotonic()
    while (status := await person.call("GET", f"{path}/status"))["version"] is None:
        run = status["run"]
        if run is not None and run["status"] == "failed":
            raise NoTranscript(f"the recording was not transcribed: {run['error_code']}")
        line = _progress(status)
        if line != told:
            told, since = line, time.monotonic()
            say(line)
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise NoTranscript(f"no transcript within {PATIENCE_SECONDS:.0f} s: {told}")
        await asyncio.sleep(POLL_SECONDS)
    page = await person.call("GET", f"{path}/cues?limit=1000")
    return Transcript(page["speakers"], page["cues"])


def _progress(status: dict[str, Any]) -> str:
    if status["run"] is None or status["run"]["status"] == "waiting":
        return "Waiting to be transcribed"
    if status["windows_total"] is None:
        return "Finding who speaks when, and in which language"
    return f"Transcribing: {status['windows_done']} of {status['windows_total']} windows"


def accuracy(script: Script, transcript: Transcript) -> Accuracy:
    """Against what was said on the record; each word must be its speaker's."""
    turns = [
        SpokenTurn(turn.speaker, _span(turn), turn.text)
        for turn in script.turns
        if not turn.off_the_record
    ]
    return compare(turns, [_said(cue) for cue in transcript.cues])


def _span(turn: Turn) -> Span:
    start_ms = round(turn.start_s * 1000)
    return Span(start_ms, start_ms + round(turn.duration_s * 1000))


def _said(cue: Cue) -> Said:
    return Said(cue["speaker"], Span(cue["start_ms"], cue["end_ms"]), cue["text"])


def leaked(script: Script, transcript: Transcript) -> list[str]:
    """Words of the transcript that were said off the record and nowhere else."""
    said = _words(turn.text for turn in script.turns if turn.off_the_record)
    said -= _words(turn.text for turn in script.turns if not turn.off_the_record)
    return sorted(said & _words(str(cue["text"]) for cue in transcript.cues))


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in normalized(text) if len(word) > 3}


async def search(person: Person, recording_id: str, word: str) -> tuple[float, str]:
    """Milliseconds of one request over HTTP, and the page of its best moment.

    Raises NoTranscript when the word is not found.
    """
    query = urlencode({"q": word, "recording": recording_id})
    began = time.perf_counter()
    answer = await person.call("GET", f"/search?{query}")
    took_ms = (time.perf_counter() - began) * 1000
    moments = [m for found in answer["recordings"] for m in found["moments"]]
    if not moments:
        raise NoTranscript(f"{word!r} was said, and search does not find it")
    return took_ms, str(moments[0]["url"])


def telling_word(script: Script, transcript: Transcript) -> str:
    """The longest word that was both said and understood."""
    said = _words(turn.text for turn in script.turns if not turn.off_the_record)
    understood = _words(str(cue["text"]) for cue in transcript.cues)
    words: Sequence[str] = sorted(said & understood)
    if not words:
        raise NoTranscript("no word was understood")
    return max(words, key=len)
