"""The transcribe process: one run after another, or as many at once as the machine has places for.

It takes nothing else: who transcribes has its core, its GPU and its memory taken for minutes.
"""

import asyncio

from core.metrics_server import metrics_server
from core.settings import Settings
from transcripts.engines import places
from workers.kinds import Queue
from workers.run import kinds_of, open_tools, patience_of, work


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Works on the queue `transcribe` until `stop`; what is not done then goes back to it."""
    with metrics_server(settings.metrics_host, settings.transcribe_metrics_port):
        async with open_tools(settings) as tools:
            await work(
                tools,
                stop,
                kinds=kinds_of(Queue.TRANSCRIBE),
                chores=(),
                patience=patience_of(settings),
                at_once=len(places(settings)),
            )
