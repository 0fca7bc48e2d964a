"""A real Chromium with a microphone that plays tones, in front of the whole of Encore."""

import math
import shutil
import struct
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.e2e.stack import Stack

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
MISSING = (
    "no browser for the tests: install Chromium or Chrome (Debian: sudo apt-get install chromium; "
    "Ubuntu: the .deb of google.com/chrome; macOS: brew install --cask google-chrome)"
)
WAIT_MS = 20_000
TONES_HZ = (330, 440, 550)
RATE = 48_000
_POLICY = "Content Security Policy"

NewPerson = Callable[..., Awaitable[Page]]


def browser_path() -> str:
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.fail(MISSING, pytrace=False)


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of tones that Chromium's fake microphone repeats."""
    path = tmp_path_factory.mktemp("microphone") / "tones.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for hz in TONES_HZ:
            samples = (int(12_000 * math.sin(2 * math.pi * hz * n / RATE)) for n in range(2 * RATE))
            file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


@pytest.fixture(scope="session")
async def chromium(microphone: Path) -> AsyncIterator[Browser]:
    path = browser_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                "--allow-loopback-in-peer-connection",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        await browser.close()


@pytest.fixture
async def new_person(chromium: Browser, stack: Stack) -> AsyncIterator[NewPerson]:
    async with people(chromium, stack.web_url) as new_person:
        yield new_person


@asynccontextmanager
async def people(chromium: Browser, web_url: str) -> AsyncIterator[NewPerson]:
    """Opens a page of its own context per call; a script error, or a breach of
    the Content-Security-Policy, on any of them fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def open_page(**options: object) -> Page:
        still = {"reduced_motion": "reduce", **options}  # each frame of an animation is drawn
        context = await chromium.new_context(base_url=web_url, **still)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if _POLICY in m.text else None)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not errors, errors
