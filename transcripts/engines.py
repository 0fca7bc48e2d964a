"""The engines of one machine: so many at once on each device, none while nobody transcribes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from core.settings import Settings
from transcripts.hub import ModelNotFetched, ModelUnknown

if TYPE_CHECKING:
    from transcripts.transcriber import Transcriber

Engine = Callable[[str | None], "AbstractAsyncContextManager[Transcriber]"]
"""Gives an engine with that model loaded (None: the machine's own), for as long as it is open."""


class Engines:
    """Places for engines. Each run has a process of its own, so its memory is given back."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free: asyncio.LifoQueue[str] = asyncio.LifoQueue()
        for device in places(settings):
            self._free.put_nowait(device)

    @asynccontextmanager
    async def __call__(self, model: str | None) -> AsyncIterator["Transcriber"]:
        """Waits for a place. Raises what a model that can't be had raises."""
        from transcripts.engine_process import EngineProcess  # numpy: other workers need none

        device = await self._free.get()
        settings = self._settings.model_copy(update={"transcribe_device": device})
        try:
            async with EngineProcess(settings, model=model) as engine:
                await engine.ready()
                yield engine
        except ModelUnknown as unknown:
            if model is not None:
                raise
            # Its settings can be put right, and what waits for them goes on.
            raise ModelNotFetched(unknown.detail) from unknown
        finally:
            self._free.put_nowait(device)


def places(settings: Settings) -> list[str]:
    """The device of each engine that may run here at once."""
    devices = settings.transcribe_gpus or (settings.transcribe_device,)
    return list(devices) * settings.transcribe_at_once
