"""Whisper through faster-whisper and CTranslate2; nothing else imports either (ADR 0022).

Blocks, and takes hundreds of megabytes: it runs in a process of its own (`transcripts.engine`).
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    TranscriptionOptions,
    get_compression_ratio,
    get_suppressed_tokens,
)

from transcripts.transcriber import (
    RATE,
    WINDOW_SECONDS,
    Decoding,
    Heard,
    HeardSegment,
    HeardWord,
    LanguageUnknown,
    ModelUnfit,
    Pcm,
)

TEMPERATURES: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
FRAMES_PER_SECOND: Final = 100

CAPTION_CONTEXT_SECONDS: Final = 15.0
"""What the encoder sees of a caption: in less than this, Whisper falls into loops."""

CAPTION_SILENCE_SECONDS: Final = 4.0
"""That it needs behind the words to know that they ended."""

TOKENS_PER_SECOND: Final = 12
"""Nobody speaks faster; a loop does."""

LOOP_RATIO: Final = 2.4
"""Text that compresses better than this repeats itself; with all of its context Whisper may not."""


def pick_device(device: str, compute_type: str) -> tuple[str, str]:
    """What `auto` means here: a GPU where CTranslate2 sees one; int8 is twice as fast as float32
    on a CPU at the same word error rate."""
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    if compute_type == "auto":
        compute_type = "float16" if device.startswith("cuda") else "int8"
    return device, compute_type


def _place(device: str) -> dict[str, Any]:
    """`cuda:1` as CTranslate2 names it."""
    kind, _, index = device.partition(":")
    return {"device": kind, "device_index": int(index or 0)}


class _SeededModel(WhisperModel):  # type: ignore[misc]  # faster-whisper has no types
    """Samples the same way whenever it falls back to sampling.

    CTranslate2 seeds a thread's generator when that thread first samples, and never again: only
    a new model begins anew. It is made where the greedy result is doubtful, which is rare and
    costs less than the sampling.
    """

    def __init__(self, folder: str, **how: Any) -> None:
        super().__init__(folder, **how)
        self.model: Any
        self.seed = 0
        self._folder = folder
        self._how = how

    def generate_with_fallback(
        self, encoder_output: Any, prompt: list[int], tokenizer: Tokenizer, options: Any
    ) -> Any:
        certain = replace(options, temperatures=TEMPERATURES[:1])
        first = super().generate_with_fallback(encoder_output, prompt, tokenizer, certain)
        if not _is_doubtful(first, options):
            return first
        self._begin_anew()
        return super().generate_with_fallback(encoder_output, prompt, tokenizer, options)

    def _begin_anew(self) -> None:
        how = self._how
        del self.model  # not two in memory
        ctranslate2.set_random_seed(self.seed)
        self.model = ctranslate2.models.Whisper(
            self._folder,
            device=how["device"],
            device_index=how["device_index"],
            compute_type=how["compute_type"],
            intra_threads=how["cpu_threads"],
        )


def _is_doubtful(result: Any, options: TranscriptionOptions) -> bool:
    """Faster-whisper's own rule for trying the next temperature."""
    generated, log_probability, _, ratio = result
    if ratio > options.compression_ratio_threshold:
        return True
    silent = generated.no_speech_prob > options.no_speech_threshold
    return bool(log_probability < options.log_prob_threshold and not silent)


class Whisper:
    """One loaded model. Raises ModelUnfit when it cannot be loaded."""

    def __init__(self, folder: Path, *, device: str, compute_type: str, threads: int) -> None:
        try:
            self._model = _SeededModel(
                str(folder), **_place(device), compute_type=compute_type, cpu_threads=threads
            )
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelUnfit(
                f"The model in {folder} does not run on {device} as {compute_type} ({reason}); "
                "see ENCORE_TRANSCRIBE_DEVICE and ENCORE_TRANSCRIBE_COMPUTE_TYPE."
            ) from error

    def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        self._check(decoding.language)
        if not len(pcm):
            return Heard(decoding.language or "", 0.0, ())
        self._model.seed = decoding.seed
        segments, about = self._model.transcribe(
            pcm,
            language=decoding.language,
            beam_size=decoding.beam,
            temperature=TEMPERATURES,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        heard = tuple(_segment(segment) for segment in segments)
        return Heard(about.language, float(about.language_probability), heard)

    def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        if not self._model.model.is_multilingual:
            return [("en", 1.0)]
        if not len(pcm):
            return []
        _, _, found = self._model.detect_language(features=self._model.feature_extractor(pcm))
        return [(str(language), float(probability)) for language, probability in found]

    def caption(self, pcm: Pcm, language: str | None) -> Heard:
        self._check(language)
        if not len(pcm):
            return Heard(language or "", 0.0, ())
        encoded = self._encode(pcm, CAPTION_CONTEXT_SECONDS)
        probability = 1.0
        if not self._model.model.is_multilingual:
            language = "en"
        elif language is None:
            token, probability = self._model.model.detect_language(encoded)[0][0]
            language = token[2:-2]
        segment = self._short(encoded, language, len(pcm) / RATE)
        if segment.compression_ratio > LOOP_RATIO:
            whole = self._encode(pcm, WINDOW_SECONDS)
            segment = self._short(whole, language, len(pcm) / RATE)
        return Heard(language, float(probability), (segment,) if segment.text else ())

    def _encode(self, pcm: Pcm, context_seconds: float) -> Any:
        """What the encoder makes of it in a context that short, or a little longer than it."""
        features = self._model.feature_extractor(pcm)
        seconds = max(context_seconds, len(pcm) / RATE + CAPTION_SILENCE_SECONDS)
        frames = 2 * round(min(seconds, WINDOW_SECONDS) * FRAMES_PER_SECOND / 2)  # it halves them
        features = features[:, :frames]
        return self._model.encode(np.pad(features, ((0, 0), (0, frames - features.shape[1]))))

    def _short(self, encoded: Any, language: str, seconds: float) -> HeardSegment:
        """One greedy decoding without times, which cannot go on for longer than speech can."""
        tokenizer = Tokenizer(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language=language,
        )
        prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        most = 8 + round(TOKENS_PER_SECOND * seconds)
        generated = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=min(len(prompt) + most, self._model.max_length),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        )[0]
        tokens = generated.sequences_ids[0]
        text = tokenizer.decode([t for t in tokens if t < tokenizer.eot]).strip()
        return HeardSegment(
            start_s=0.0,
            end_s=seconds,
            text=text,
            words=(),
            no_speech_probability=float(generated.no_speech_prob),
            average_log_probability=generated.scores[0] * len(tokens) / (len(tokens) + 1),
            compression_ratio=get_compression_ratio(text),
        )

    def _check(self, language: str | None) -> None:
        if language is not None and not self._knows(language):
            raise LanguageUnknown(f"The model does not know the language {language!r}.")

    def _knows(self, language: str) -> bool:
        """Cantonese, say, came with large-v3: its token is not in the vocabularies before."""
        listed = language in self._model.supported_languages
        english = not self._model.model.is_multilingual
        token = self._model.hf_tokenizer.token_to_id(f"<|{language}|>")
        return listed and (english or token is not None)


def _segment(segment: Any) -> HeardSegment:
    return HeardSegment(
        start_s=float(segment.start),
        end_s=float(segment.end),
        text=segment.text.strip(),
        words=tuple(_words(segment.words or ())),
        no_speech_probability=float(segment.no_speech_prob),
        average_log_probability=float(segment.avg_logprob),
        compression_ratio=float(segment.compression_ratio),
    )


def _words(words: Iterable[Any]) -> Iterable[HeardWord]:
    for word in words:
        yield HeardWord(float(word.start), float(word.end), word.word, float(word.probability))
