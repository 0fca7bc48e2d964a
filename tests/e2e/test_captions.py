"""What a real speaker says is read by those who cannot hear it: by events, HLS and the API."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from av.stream import Discard

from core.authorities import authorities
from demo.opus_files import read_ogg
from tests.e2e.live_room import LiveRoom, live_room, until
from tests.e2e.stack import running_stack
from tests.e2e.test_crash import ended_playlist
from tests.ingest.speech import SPEECH
from tests.replay.playlist_rules import check_media, check_rendition, renditions

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whisper")]


async def first_caption(room: LiveRoom) -> dict[str, Any]:
    """From the room's events, as a stranger's page gets them."""
    url = f"{room.web_url}/v1/rooms/{room.room_id}/events"
    async with (
        httpx.AsyncClient(timeout=60, verify=authorities()) as client,
        client.stream("GET", url) as stream,
    ):
        async for line in stream.aiter_lines():
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if event.get("kind") == "caption":
                caption: dict[str, Any] = event["data"]
                return caption
    raise AssertionError("the stream ended")


async def text_of(url: str) -> str:
    async with httpx.AsyncClient(verify=authorities()) as client:
        return (await client.get(url)).text


async def subtitles(master_url: str) -> str:
    """All segments that the subtitles of a master playlist list, after the rules were checked."""
    [rendition] = renditions(await text_of(master_url))
    base = master_url.rpartition("/")[0]
    variant = (await text_of(master_url)).splitlines()[-1]
    listed = await text_of(f"{base}/{rendition['URI']}")
    if "#EXTINF" not in listed:
        return ""
    check_rendition(await text_of(f"{base}/{variant}"), listed)
    return "".join([await text_of(f"{base}/{uri}") for uri in check_media(listed).uris])


def shown_by_ffmpeg(url: str) -> str:
    with av.open(url) as container:
        stream = container.streams.subtitles[0]
        stream.discard = Discard.none
        return " ".join(bytes(packet).decode() for packet in container.demux(stream))


async def test_what_is_said_is_read_while_it_is_heard(tmp_path: Path) -> None:
    with running_stack(tmp_path / "stack", {"ENCORE_CAPTIONS": "on"}) as stack:
        async with live_room(stack.web_url, "ada", language="en") as room:
            reading = asyncio.create_task(first_caption(room))
            speaker = await room.publish("ada")
            speaker.play(read_ogg(SPEECH / "01-ada.opus"))
            caption = await asyncio.wait_for(reading, 60)
            assert caption["display_name"] == "Ada"
            assert re.search("hello|everyone|ada", caption["text"], re.IGNORECASE)
            links = await room.listen()

            async def shown() -> str | None:
                text = await subtitles(links["live_master_url"])
                return text if "<v Ada>" in text else None

            live = await until(shown)
            assert caption["text"].partition("\n")[0] in live
            page = await room.call("GET", "/captions")
            assert page["items"][0]["text"] == caption["text"]
            await room.end()
            await ended_playlist(f"{room.web_url}/v1/rooms/{room.room_id}/replay.m3u8")
            text = await asyncio.to_thread(shown_by_ffmpeg, links["master_url"])
            assert caption["text"].partition("\n")[0] in text
