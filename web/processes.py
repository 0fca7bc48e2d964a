"""The processes that Encore is made of, and how each is run (decisions.md, Processes)."""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import resource
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Final

from core.logging import configure_logging
from core.settings import Settings

log = logging.getLogger(__name__)

PROCESSES: Final = {
    "receive": "ingest.receive",
    "package": "ingest.package",
    "captions": "transcripts.captions",
    "edge": "replay.edge",
    "work": "workers.run",
    "transcribe": "workers.transcribe",
    "web": "web.serving",
    "stripe": "payouts.sandbox.process",
}
"""Name of each process and the module whose `run(settings, stop)` is it."""

OPEN_FILES: Final = 65_536

COLLECT_AFTER: Final = (20_000, 20, 20)
"""New objects before the collector looks at them, and how often until it looks at older ones."""

GO: Final = b"go\n"
"""What the supervisor tells a spare that takes over."""

Run = Callable[[Settings, asyncio.Event], Awaitable[None]]


def run_process(name: str, settings: Settings, *, supervised: bool, standby: bool) -> int:
    """Runs one process until SIGTERM, SIGINT or, when supervised, the end of stdin.

    The pipe on stdin is held by the supervisor: however that dies, its children stop. A
    standby loads everything, then waits there for its turn.
    """
    configure_logging(settings, process=name)
    _keep_to_ourselves()
    gc.disable()  # what is loaded stays: looking at it is a tenth of a start
    entry: Run = importlib.import_module(PROCESSES[name]).run
    spare_the_collector()
    if standby and os.read(0, len(GO)) != GO:
        return 0
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_stopped(entry, settings, supervised=supervised))
    return 0


def _keep_to_ourselves() -> None:
    """Recordings and manifests are for the owner of the data folder alone, and everybody on the
    network takes a file descriptor, of which a shell gives 1024 unless asked for more."""
    os.umask(0o077)
    raise_open_files()


def spare_the_collector() -> None:
    """What was made by now stays, so nobody needs to look at it again; and with thousands of
    connections a full look takes tenths of a second, in which a process answers nobody."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


def raise_open_files() -> None:
    """To OPEN_FILES, as far as the system lets us."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _until_stopped(entry: Run, settings: Settings, *, supervised: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        _stop_at_end_of_stdin(loop, stop)
    await entry(settings, stop)


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin: its lock would be held at exit
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()
