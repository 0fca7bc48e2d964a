"""The engine as the rest of Encore sees it: a Transcriber whose work is done by a child process.

The child is started at the first question and ended when nobody asked for a while, which gives
its memory back. One that dies or hangs is ended; the next question starts another.
"""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from core.errors import Problem
from core.settings import Settings
from transcripts.frames import HEAD, MAX_SOUND, FrameError, Message, lengths, pack, parse
from transcripts.hub import ModelNotFetched, ModelUnknown
from transcripts.installed_models import ModelDamaged, ModelMissing
from transcripts.transcriber import (
    RATE,
    WINDOW_SECONDS,
    Decoding,
    Heard,
    HeardSegment,
    HeardWord,
    LanguageUnknown,
    Model,
    ModelUnfit,
    Pcm,
    TooMuchSound,
    TranscriberUnavailable,
)

log = logging.getLogger(__name__)

REFUSALS: Final[dict[str, type[Problem]]] = {
    problem.code: problem
    for problem in (
        *(ModelMissing, ModelDamaged, ModelNotFetched, ModelUnknown, ModelUnfit),
        LanguageUnknown,
    )
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the child may take before it counts as hanging, in seconds.

    Generous: a machine whose cores are all taken by rooms decodes at a twentieth of its speed.
    """

    start: float = 180.0
    question: float = 60.0
    per_second_of_sound: float = 10.0
    end: float = 5.0


class EngineProcess:
    """Asks one question at a time. `model` is known after the first, or after `ready`."""

    def __init__(
        self,
        settings: Settings,
        *,
        model: str | None = None,
        niceness: int = 0,
        idle_seconds: float = 60.0,
        patience: Patience | None = None,
    ) -> None:
        """`model` as in the settings, where not the one that they name."""
        self._arguments = _arguments(settings, model or settings.transcribe_model, niceness)
        self._threads = str(settings.transcribe_threads)
        self._idle_seconds = idle_seconds
        self._patience = patience or Patience()
        self._turn = asyncio.Lock()
        self._child: Process | None = None
        self._model: Model | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._rested_at = 0.0
        self._ending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the child. A later question would start another."""
        if self._idle is not None:
            self._idle.cancel()
        async with self._turn:
            await self._end(gently=True)
        await asyncio.gather(*self._ending)

    @property
    def model(self) -> Model:
        if self._model is None:
            raise TranscriberUnavailable("The engine has not been started yet.")
        return self._model

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return self._child.pid if self._child else None

    async def ready(self) -> Model:
        """Starts the child where there is none. Raises what a model that can't be had raises."""
        async with self._turn:
            await self._started()
            self._rest()
            return self.model

    async def hear(self, pcm: Pcm, decoding: Decoding) -> Heard:
        return _heard(await self._ask({"ask": "hear", "decoding": asdict(decoding)}, pcm))

    async def languages(self, pcm: Pcm) -> list[tuple[str, float]]:
        answer = await self._ask({"ask": "languages"}, pcm)
        return [(str(language), float(p)) for language, p in answer["languages"]]

    async def caption(self, pcm: Pcm, language: str | None) -> Heard:
        return _heard(await self._ask({"ask": "caption", "language": language}, pcm))

    async def _ask(self, question: Message, pcm: Pcm) -> Message:
        if len(pcm) * 4 > MAX_SOUND:
            raise TooMuchSound(f"{len(pcm) / RATE:.1f} s; at most {WINDOW_SECONDS:.0f} s at once.")
        limit = self._patience.question + self._patience.per_second_of_sound * len(pcm) / RATE
        async with self._turn:
            child = await self._started()
            answer = await self._bounded(self._exchange(child, pack(question, pcm)), limit)
            self._rest()
        return _checked(answer)

    async def _started(self) -> Process:
        if self._idle is not None:
            self._idle.cancel()
        if self._child is not None and self._child.returncode is None:
            return self._child
        await self._end()
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "transcripts.engine",
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            env=os.environ | {"OMP_NUM_THREADS": self._threads},
        )
        greeting = await self._greeting(self._child)
        if "model" not in greeting:
            await self._end()
        self._model = Model(**_checked(greeting)["model"])
        return self._child

    async def _greeting(self, child: Process) -> Message:
        """What it loaded, or why not; before that, how far a download is."""
        while True:
            greeting = await self._bounded(_receive(child), self._patience.start)
            if "fetched_percent" not in greeting:
                return greeting
            if greeting["fetched_percent"] % 10 == 0:
                log.info("the model is downloaded: %s %%", greeting["fetched_percent"])

    async def _exchange(self, child: Process, frame: bytes) -> Message:
        assert child.stdin is not None  # noqa: S101 - it was started with a pipe
        child.stdin.write(frame)
        await child.stdin.drain()
        return await _receive(child)

    async def _bounded(self, exchange: Any, limit: float) -> Message:
        """Whatever goes wrong in it, cancellation too, ends the child: its pipe would hold half
        a frame, or the answer to another question."""
        try:
            async with asyncio.timeout(limit):
                message: Message = await exchange
                return message
        except TimeoutError:
            await self._end()
            self._unavailable(f"the engine gave no answer within {limit:.0f} s")
        except (OSError, EOFError, FrameError) as error:
            code = self._child.returncode if self._child else None
            await self._end()
            self._unavailable(f"the engine's process ended ({code or type(error).__name__})")
        except BaseException:
            await self._end()
            raise

    def _unavailable(self, why: str) -> NoReturn:
        log.warning("%s; the next question starts another", why)
        raise TranscriberUnavailable(f"Nothing was transcribed: {why}. Try again.")

    def _rest(self) -> None:
        """Ends the child unless somebody asks again in time."""
        loop = asyncio.get_running_loop()
        self._rested_at = loop.time()
        self._idle = loop.call_later(self._idle_seconds, self._end_soon)

    def _end_soon(self) -> None:
        task = asyncio.create_task(self._end_idle())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_idle(self) -> None:
        async with self._turn:
            if asyncio.get_running_loop().time() - self._rested_at >= self._idle_seconds:
                await self._end(gently=True)

    async def _end(self, *, gently: bool = False) -> None:
        """Reaps the child. Gently: by the end of its stdin, as long as patience lasts."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None  # noqa: S101 - it was started with a pipe
        child.stdin.close()
        if gently:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), self._patience.end)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _receive(child: Process) -> Message:
    """Raises FrameError, and EOFError when the child has ended."""
    assert child.stdout is not None  # noqa: S101 - it was started with a pipe
    of_json, _ = lengths(await child.stdout.readexactly(HEAD.size))
    return parse(await child.stdout.readexactly(of_json))


def _checked(answer: Message) -> Message:
    """The answer, or what the engine refused it with."""
    if refusal := answer.get("error"):
        raise REFUSALS.get(refusal["code"], TranscriberUnavailable)(refusal["detail"])
    return answer


def _heard(answer: Message) -> Heard:
    segments = (
        HeardSegment(**segment | {"words": tuple(HeardWord(**word) for word in segment["words"])})
        for segment in answer["segments"]
    )
    return Heard(answer["language"], answer["language_probability"], tuple(segments))


def _arguments(settings: Settings, model: str, niceness: int) -> list[str]:
    given = {
        "model": model,
        "models-dir": settings.models_folder.absolute(),
        "device": settings.transcribe_device,
        "compute-type": settings.transcribe_compute_type,
        "threads": settings.transcribe_threads,
        "niceness": niceness,
    }
    return [f"--{name}={value}" for name, value in given.items()]
