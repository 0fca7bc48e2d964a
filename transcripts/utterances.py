"""One speaker's sound cut into utterances while they talk; pure but for the model of `vad`.

Positions are samples at 48 kHz on the room's clock, as in the journal; what is handed out is
16 kHz. Nothing is computed while the speaker's gate is closed (`ingest.voice`): silence costs
neither decoding nor detection.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from transcripts.transcriber import RATE, Pcm
from transcripts.vad import FRAME_MS, Endpointer, Span, SpeechRules, VoiceActivity

PER_MS: Final = 48
_PER_MS_16: Final = RATE // 1000

LONGEST_MS: Final = 10_000
RULES: Final = SpeechRules(min_silence_ms=416, min_speech_ms=160, longest_ms=LONGEST_MS)
SHORTER_PAUSES: Final = ((7500, 160), (5000, 288))
"""(So long an utterance, ms; the pause that ends it): the longer it is, the shorter."""

PAD_MS: Final = 200
"""Kept before and after speech, as far as there is any sound."""

SLACK: Final = PER_MS * 125
"""No packet is longer: what is missing behind this much is silence."""

FREE: Final = PER_MS * 20
"""So far may sound be from where it was expected without a seam: clocks drift."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """`pcm` holds the speech from `start_ms` to `end_ms` and a little around it."""

    participant_id: UUID
    start_ms: int
    end_ms: int
    pcm: Pcm


class Decimator:
    """48 kHz to 16 kHz, piece by piece: a low-pass of 7.2 kHz, and every third sample."""

    _TAPS: Final = 63

    def __init__(self) -> None:
        at = np.arange(self._TAPS) - self._TAPS // 2
        taps = np.sinc(at * 0.3) * np.hamming(self._TAPS)
        self._kernel: Pcm = (taps / taps.sum()).astype(np.float32)
        self._tail = np.zeros(self._TAPS - 1, np.float32)
        self._phase = 0

    def feed(self, pcm: Pcm) -> Pcm:
        """As many samples as are complete; half a millisecond late."""
        signal = np.concatenate((self._tail, pcm))
        self._tail = signal[-(self._TAPS - 1) :].copy()
        if not pcm.size:
            return pcm
        filtered = np.convolve(signal, self._kernel, "valid")
        taken: Pcm = filtered[self._phase :: 3].astype(np.float32)
        self._phase = (self._phase - pcm.size) % 3
        return taken


class Tape:
    """The last of a sound: what was put in, until it is dropped from the front."""

    def __init__(self) -> None:
        self._pieces: deque[Pcm] = deque()
        self._begin = 0
        """Position of the first piece, in samples from the sound's beginning."""

    def append(self, pcm: Pcm) -> None:
        if pcm.size:
            self._pieces.append(pcm)

    def drop_before(self, position: int) -> None:
        while self._pieces and self._begin + self._pieces[0].size <= position:
            self._begin += self._pieces.popleft().size

    def cut(self, first: int, end: int) -> Pcm:
        """As much of the stretch as is there."""
        if not self._pieces:
            return np.zeros(0, np.float32)
        begin = max(first - self._begin, 0)
        return np.concatenate(list(self._pieces))[begin : max(end - self._begin, begin)]


class _Talk:
    """From the first sound of a gate that opens until nobody has spoken for a while."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.end = begin
        """Where sound was fed up to."""

        self._decimator = Decimator()
        self._activity = VoiceActivity()
        self._endpointer = Endpointer(RULES)
        self._tape = Tape()
        self._frames = 0

    @property
    def speaking(self) -> bool:
        return self._endpointer.speaking_since_ms is not None

    def feed(self, pcm: Pcm) -> list[Span]:
        self.end += pcm.size
        sound = self._decimator.feed(pcm)
        self._tape.append(sound)
        spans: list[Span] = []
        for probability in self._activity.feed(sound):
            self._frames += 1
            spans += self._endpointer.feed([probability])
            if self._is_enough():
                spans += self._endpointer.finish()
        return spans

    def finish(self) -> list[Span]:
        return self._endpointer.finish()

    def _is_enough(self) -> bool:
        since_ms, silent_ms = self._endpointer.speaking_since_ms, self._endpointer.silent_ms
        if since_ms is None or not silent_ms:
            return False
        spoken_ms = self._heard_ms - since_ms - silent_ms
        return any(spoken_ms >= long and silent_ms >= pause for long, pause in SHORTER_PAUSES)

    @property
    def _heard_ms(self) -> int:
        return self._frames * FRAME_MS

    def cut_out(self, span: Span, *, until_ms: int) -> Pcm:
        """The sound of a span with its padding, none of it after `until_ms`."""
        end_ms = min(span.end_ms + PAD_MS, until_ms)
        return self._tape.cut((span.start_ms - PAD_MS) * _PER_MS_16, end_ms * _PER_MS_16)

    def forget(self) -> None:
        """Drops the sound that no utterance can need any more."""
        since_ms = self._endpointer.speaking_since_ms
        needed_ms = (self._heard_ms if since_ms is None else since_ms) - PAD_MS - FRAME_MS
        self._tape.drop_before(needed_ms * _PER_MS_16)


class Ear:
    """Listens to one speaker: `hear` sound as it is placed, and tell `time` as it passes."""

    def __init__(self, participant_id: UUID) -> None:
        self._participant_id = participant_id
        self._talk: _Talk | None = None
        self._ended: list[Utterance] = []

    @property
    def listening(self) -> bool:
        return self._talk is not None

    def hear(self, start: int, pcm: Pcm) -> None:
        """Sound at a position; copies what it needs. A short hole counts as silence."""
        talk = self._talk
        if talk is None:
            talk = self._talk = _Talk(start)
        missing = start - talk.end
        if missing > FREE:
            self._feed(talk, np.zeros(missing, np.float32))
        self._feed(talk, pcm[-missing:] if missing < -FREE else pcm)

    def time(self, position: int) -> None:
        """Everything before `position` has been heard, or will not be."""
        talk = self._talk
        if talk is None or position - talk.end <= SLACK:
            return
        silence = min(position - talk.end - SLACK // 2, PER_MS * RULES.min_silence_ms * 2)
        self._feed(talk, np.zeros(silence, np.float32))
        if not talk.speaking:
            self._talk = None

    def stop(self, position: int | None = None) -> None:
        """Nothing follows, and nothing at or after `position` is used."""
        talk, self._talk = self._talk, None
        if talk is not None:
            self._take(talk, talk.finish(), position)

    def utterances(self) -> list[Utterance]:
        """Those that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _feed(self, talk: _Talk, pcm: Pcm) -> None:
        self._take(talk, talk.feed(pcm), None)
        talk.forget()

    def _take(self, talk: _Talk, spans: list[Span], position: int | None) -> None:
        end = talk.end if position is None else min(talk.end, position)
        self._ended += self._cut(talk, spans, (end - talk.begin) // PER_MS)

    def _cut(self, talk: _Talk, spans: list[Span], until_ms: int) -> Iterator[Utterance]:
        base_ms = talk.begin // PER_MS
        for span in spans:
            end_ms = min(span.end_ms, until_ms)
            if end_ms - span.start_ms >= RULES.min_speech_ms:
                pcm = talk.cut_out(span, until_ms=until_ms)
                start_ms = base_ms + span.start_ms
                yield Utterance(self._participant_id, start_ms, base_ms + end_ms, pcm)
