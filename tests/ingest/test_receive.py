"""Real speakers over loopback through WHIP, DTLS and SRTP into a journal that is read back."""

from pathlib import Path

from core.db import Database
from demo.opus_files import SILENCE, encode, tone
from demo.speaker import Speaker
from ingest.marks import RecordingOpened, RecordMark, RoomEnded, StreamClosed, StreamOpened
from tests.ingest.receiving import Hall, eventually, receiving, settings_for


async def test_a_speakers_packets_reach_the_journal(
    database: Database, postgres_url: str, tmp_path: Path
) -> None:
    hall = Hall(database)
    await hall.go_live()
    ada = await hall.guest()
    said = encode(tone(0.3))
    async with receiving(settings_for(postgres_url, tmp_path)), Speaker() as speaker:
        await speaker.connect(await hall.whip_url(), ada.token)
        speaker.play(said)
        journal = hall.journal(tmp_path)
        await eventually(lambda: len(journal.said(ada.participant_id)) > 30)
        ended = await hall.end()
        await eventually(lambda: any(isinstance(m, RoomEnded) for m in journal.marks()))
    kept = journal.said(ada.participant_id)
    payloads = [p.payload for p in kept if p.payload != SILENCE.payload]
    assert payloads == [p.payload for p in said]
    levels = [p.level for p in kept if p.payload != SILENCE.payload]
    assert levels == [p.level for p in said]
    assert [p.seq for p in kept] == list(range(kept[0].seq, kept[0].seq + len(kept)))
    first, *marks = journal.marks()
    assert isinstance(first, RecordingOpened)
    assert not first.restart
    assert marks[0] == RecordMark(0, on=True)
    assert isinstance(marks[1], StreamOpened)
    assert marks[1].has_level
    assert marks[2] == StreamClosed(1, len(kept), 0)
    assert marks[3] == RoomEnded(ended)
