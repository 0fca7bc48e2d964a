"""Subtitles at the edge: listed by the masters, cut like the mix, and gone with a consent."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import av
import pytest
import sqlalchemy as sa
from av.stream import Discard

from core.db import Database
from ingest.manifest import Opened
from ingest.models import Recording, RecordingStatus
from replay.subtitles import NewCue, add_live_cues, register, replace_cues
from rooms.models import Participant, Room, RoomState
from tests.polling import eventually
from tests.replay.afterwards import store_room, two_with_a_pause
from tests.replay.conftest import EdgeSite, problem_code, running_edge
from tests.replay.playlist_rules import (
    apply_delta,
    check_master,
    check_media,
    check_rendition,
    renditions,
)
from tests.replay.spools import LIVE_AT_US, Spool
from tests.replay.stored_rooms import make_room, make_speaker, store_recording
from tests.replay.test_edge_players import long_line

LATE_MS = 60_000
"""On the room's clock: everything that these tests record is over by then."""


@dataclass
class Captioned:
    """A live room on the edge's disk, with rows and a speaker who consents."""

    site: EdgeSite
    database: Database
    spool: Spool
    room_id: UUID
    ada: UUID

    @property
    def id(self) -> UUID:
        return self.spool.recording_id

    @property
    def opened(self) -> Opened:
        return Opened(str(self.id), str(self.room_id), str(self.room_id), 1, 1, LIVE_AT_US)

    async def clock(self, room_ms: int) -> None:
        """Lets the database's clock of the room show that now."""
        live_at = sa.func.clock_timestamp() - sa.text(f"interval '{room_ms} milliseconds'")
        async with self.database.transaction() as session:
            for table, row_id in ((Room, self.room_id), (Recording, self.id)):
                await session.execute(
                    sa.update(table).where(table.id == row_id).values(live_at=live_at)
                )

    async def register(self) -> None:
        async with self.database.transaction() as session:
            await register(session, self.opened, "en")

    async def hear(self, start_ms: int, end_ms: int, text: str) -> None:
        async with self.database.transaction() as session:
            cue = NewCue(self.ada, start_ms, end_ms, "en", text)
            await add_live_cues(session, self.opened, [cue])

    async def consent(self, given: bool) -> None:
        async with self.database.transaction() as session:
            await session.execute(
                sa.update(Participant)
                .where(Participant.id == self.ada)
                .values(consented_at=datetime.now(UTC) if given else None)
            )

    async def text(self, name: str) -> str:
        answer = await self.site.get(self.id, name)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def until_in(self, name: str, wanted: str, *, there: bool = True) -> str:
        """Polls until the answer holds `wanted`, or does not any more."""

        async def look() -> str:
            answer = await self.site.get(self.id, name)
            return answer.text if (wanted in answer.text) is there else ""

        return await eventually(look)


@pytest.fixture
async def live(site: EdgeSite, database: Database) -> Captioned:
    spool = site.live_room(3)
    async with database.transaction() as session:
        room = await make_room(session, recording_id=spool.recording_id, state=RoomState.LIVE)
        ada = await make_speaker(session, room, "Ada & Co")
        ada.consented_at = datetime.now(UTC)
        await store_recording(session, room, spool, status=RecordingStatus.LIVE)
    return Captioned(site, database, spool, room.id, ada.id)


async def test_a_recording_without_subtitles_lists_none(live: Captioned) -> None:
    assert renditions(await live.text("master.m3u8")) == []
    answer = await live.site.get(live.id, "captions.m3u8")
    assert problem_code(answer) == "no_such_file"
    answer = await live.site.get(live.id, "r1/captions/0.vtt")
    assert problem_code(answer) == "no_such_file"


@pytest.mark.parametrize(
    ("master", "sound", "subtitles"),
    [
        ("master.m3u8", "index.m3u8", "captions.m3u8"),
        ("live-master.m3u8", "live.m3u8", "live-captions.m3u8"),
    ],
)
async def test_registered_subtitles_are_listed_beside_the_mix(
    live: Captioned, master: str, sound: str, subtitles: str
) -> None:
    await live.clock(LATE_MS)
    await live.register()
    listed = await live.text(master)
    assert list(check_master(listed)) == [sound]
    assert [(one["URI"], one["LANGUAGE"]) for one in renditions(listed)] == [(subtitles, "en")]
    check_rendition(await live.text(sound), await live.text(subtitles))
    assert await live.text("r1/captions/0.vtt") == (
        "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n"
    )


async def test_a_caption_is_in_the_segments_in_which_it_is_shown(live: Captioned) -> None:
    await live.register()
    await live.clock(2600)
    await live.hear(1200, 2500, "Hello <everyone>")
    await live.clock(LATE_MS)
    answer = await live.site.get(live.id, "r1/captions/0.vtt")
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=5"
    assert answer.text.endswith(
        "1\n00:00:01.200 --> 00:00:02.500\n<v Ada &amp; Co>Hello &lt;everyone&gt;</v>\n\n"
    )
    assert await live.text("r1/captions/1.vtt") == answer.text
    assert "Hello" not in await live.text("r1/captions/2.vtt")
    again = await live.site.get(
        live.id, "r1/captions/0.vtt", {"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    for wrong in ("r1/captions/3.vtt", "r2/captions/0.vtt", "r1/captions/00.vtt"):
        assert problem_code(await live.site.get(live.id, wrong)) == "no_such_file"
    answer = await live.site.get(live.id, "r1/captions/0-1.vtt")
    assert answer.status_code == 404, "pieces of several are of a recording that is over"


async def test_a_late_caption_changes_nothing_that_was_listed(live: Captioned) -> None:
    await live.register()
    await live.clock(4600)
    listed = check_media(await live.until_in("captions.m3u8", "captions/0.vtt"))
    assert listed.uris == ["r1/captions/0.vtt"], "the second takes cues for a while"
    before = await live.text("r1/captions/0.vtt")
    await live.hear(200, 1500, "Late")
    await live.clock(LATE_MS)
    late = await live.until_in("r1/captions/1.vtt", "Late")
    assert "00:00:00.200 -->" in late
    assert await live.text("r1/captions/0.vtt") == before


@pytest.mark.slow
async def test_subtitles_keep_up_without_news_and_end_after_the_mix(live: Captioned) -> None:
    """The database says that the room is at its beginning; the mix says that it goes on."""
    await live.clock(0)
    await live.register()
    await live.until_in("live-captions.m3u8", "captions/2.vtt")
    live.spool.end()
    await live.until_in("captions.m3u8", "ENDLIST")
    check_rendition(await live.text("index.m3u8"), await live.text("captions.m3u8"))


async def test_delta_updates_are_given_as_for_the_mix(live: Captioned) -> None:
    """Two hours by the manifest, read long enough ago for clients to hold it."""
    await live.clock(3 * 3_600_000)
    await live.register()
    live.spool.write(*(long_line(n) for n in range(3, 3600)))
    await live.until_in("live-captions.m3u8", "captions/3599.vtt")
    sheet = await live.site.library.cues.find(live.id)
    assert sheet is not None
    sheet.known_since[:] = [at - 60 for at in sheet.known_since]
    full = await live.text("captions.m3u8")
    live.spool.write(long_line(3600))
    await live.until_in("live-captions.m3u8", "captions/3600.vtt")
    delta = await live.text("captions.m3u8?_HLS_skip=YES")
    assert len(delta) < 2_000 < 100_000 < len(full)
    assert apply_delta(full, delta) == await live.text("captions.m3u8")


async def test_a_withdrawn_voice_is_gone_within_seconds(live: Captioned) -> None:
    await live.register()
    await live.clock(1500)
    await live.hear(500, 1200, "Secret")
    await live.clock(LATE_MS)
    await live.until_in("r1/captions/0.vtt", "Secret")
    await live.consent(given=False)
    await live.until_in("r1/captions/0.vtt", "Secret", there=False)
    await live.consent(given=True)
    await live.until_in("r1/captions/0.vtt", "Secret")


async def test_final_cues_show_under_the_same_names(live: Captioned) -> None:
    await live.register()
    await live.clock(LATE_MS)
    await live.until_in("captions.m3u8", "captions/2.vtt")
    await live.hear(500, 1200, "Roughly")
    await live.until_in("captions.m3u8", "captions/2.vtt")
    live.spool.end()
    async with live.database.transaction() as session:
        cue = NewCue(live.ada, 500, 1200, "en", "Exactly.", name="Ada Lovelace")
        await replace_cues(session, live.id, [cue])
    shown = await live.until_in("r1/captions/0.vtt", "Exactly.")
    assert "<v Ada Lovelace>" in shown


@pytest.mark.slow
async def test_an_edge_elsewhere_gives_the_same(
    live: Captioned, database: Database, tmp_path: Path
) -> None:
    """It has rows and objects only, and no manifest."""
    over = await store_room(database, tmp_path / "over", two_with_a_pause)
    speaker = UUID(over.speakers[0])
    async with database.transaction() as session:
        recording = await session.get_one(Recording, over.recording_id)
        await session.execute(
            sa.update(Participant)
            .where(Participant.id == speaker)
            .values(consented_at=datetime.now(UTC))
        )
        cue = NewCue(speaker, 1000, 1900, "en", "From the rows.")
        await replace_cues(session, recording.id, [cue])
    await over.compact()
    async with running_edge(tmp_path / "elsewhere", over.store, database) as site:  # type: ignore[arg-type]
        master = (await site.get(over.recording_id, "master.m3u8")).text
        assert [one["URI"] for one in renditions(master)] == ["replay-captions.m3u8"]
        listed = (await site.get(over.recording_id, "replay-captions.m3u8")).text
        check_rendition((await site.get(over.recording_id, "replay.m3u8")).text, listed)
        first = check_media(listed).uris[0]
        assert first == "r1/captions/0-1.vtt"
        text = (await site.get(over.recording_id, first)).text
        assert "00:00:01.000 --> 00:00:01.900\n<v" in text
        for unlisted in ("r1/captions/0-2.vtt", "r1/captions/1-2.vtt"):
            answer = await site.get(over.recording_id, unlisted)
            assert problem_code(answer) == "no_such_file"
        assert (await site.get(over.recording_id, "r1/captions/1.vtt")).status_code == 200
        url = site.url(over.recording_id, "master.m3u8")
        assert await asyncio.to_thread(subtitles_read, url) == [(1.0, "From the rows.")]


def subtitles_read(url: str) -> list[tuple[float, str]]:
    """What FFmpeg's HLS player shows, and when."""
    with av.open(url) as container:
        stream = container.streams.subtitles[0]
        stream.discard = Discard.none
        return [
            (
                float(packet.pts * packet.time_base),
                bytes(packet).decode().partition(">")[2].removesuffix("</v>"),
            )
            for packet in container.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        ]
