"""WebKitGTK's MiniBrowser on a display of its own, driven by WebDriver (W3C) over plain HTTP."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.live_room import until
from tests.e2e.stack import free_ports

_SILENT_CARD = "pcm.!default { type null }\nctl.!default { type null }\n"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str | None:
    """What to install, if anything."""
    if all(map(shutil.which, ("WebKitWebDriver", "Xvfb"))) and _browser() is not None:
        return None
    return "no WebKitGTK here: apt-get install webkit2gtk-driver xvfb gstreamer1.0-libav"


def _browser() -> Path | None:
    return next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)


# The context begins in the click itself: without one it stays suspended.
_TAP = """
document.querySelector(arguments[0]).addEventListener('click', () => {
  if (window.tap) return;
  const context = new AudioContext();
  window.tap = context.createAnalyser();
  context.createMediaElementSource(document.querySelector('audio')).connect(window.tap);
  window.tap.connect(context.destination);
  context.resume();
});
"""
_HEARD = """
const samples = new Float32Array(window.tap.fftSize);
window.tap.getFloatTimeDomainData(samples);
const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
return rms > 0.1 ? document.querySelector('audio').currentTime : null;
"""
_RUNS = "return document.querySelector('audio').paused === false"


class WebKit:
    """One window."""

    def __init__(self, http: httpx.AsyncClient, path: str) -> None:
        self._http = http
        self._path = path

    async def open(self, url: str) -> None:
        await self._call("POST", "/url", {"url": url})

    async def tap(self, selector: str) -> None:
        """Clicks as a person does, so that the page may play, until it does; from then on what
        its audio element decodes is looked at."""
        await self._run(_TAP, selector)
        while True:  # the page takes a click once its modules run
            await self._click(selector)
            with contextlib.suppress(TimeoutError):
                await until(self._plays, seconds=5)
                return

    async def _plays(self) -> bool:
        return bool(await self._run(_RUNS))

    async def heard(self) -> float | None:
        """Where it plays, in media seconds, if something loud is decoded at this moment."""
        found: float | None = await self._run(_HEARD)
        return found

    async def close(self) -> None:
        await self._call("DELETE", "")

    async def _click(self, selector: str) -> None:
        wanted = {"using": "css selector", "value": selector}
        found = await self._call("POST", "/element", wanted)
        await self._call("POST", f"/element/{found[_ELEMENT]}/click", {})

    async def _run(self, script: str, *arguments: str) -> Any:
        return await self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await self._http.request(method, f"{self._path}{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()["value"]


@asynccontextmanager
async def webkit(folder: Path) -> AsyncIterator[WebKit]:
    """Its home is `folder`, with a sound card that swallows everything."""
    (folder / ".asoundrc").write_text(_SILENT_CARD)
    async with AsyncExitStack() as stack:
        display = await stack.enter_async_context(_display())
        environment = {
            **os.environ,
            "HOME": str(folder),
            "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "GST_PLUGIN_FEATURE_RANK": "fakeaudiosink:MAX,alsasink:NONE,pulsesink:NONE",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        while True:
            async with _driver(environment) as http:
                try:
                    browser = WebKit(http, await _session(http))
                except httpx.ReadTimeout:  # now and then it never comes to its window
                    continue
                yield browser
                await browser.close()
                return


@asynccontextmanager
async def _display() -> AsyncIterator[str]:
    read, write = os.pipe()
    command = ("Xvfb", "-displayfd", str(write), "-nolisten", "tcp")
    async with _running(command, pass_fds=[write]):
        os.close(write)
        yield f":{(await asyncio.to_thread(os.read, read, 20)).decode().strip()}"
        os.close(read)


@asynccontextmanager
async def _driver(environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    [port] = free_ports([socket.SOCK_STREAM])
    command = ("WebKitWebDriver", "--host=127.0.0.1", f"--port={port}")
    async with (
        _running(command, env=environment),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
    ):
        yield http


@asynccontextmanager
async def _running(command: tuple[str, ...], **options: Any) -> AsyncIterator[None]:
    """Ended, and what it has started with it, when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *command, stderr=asyncio.subprocess.DEVNULL, start_new_session=True, **options
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def _session(http: httpx.AsyncClient) -> str:
    async def ready() -> bool:
        try:
            return (await http.get("/status")).is_success
        except httpx.HTTPError:
            return False

    await until(ready)
    options = {"binary": str(_browser()), "args": ["--automation"]}
    wanted = {"browserName": "MiniBrowser", "webkitgtk:browserOptions": options}
    answer = await http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
    assert answer.is_success, answer.text
    return f"/session/{answer.json()['value']['sessionId']}"
