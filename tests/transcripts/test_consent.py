"""Who withdraws consent vanishes from everything that was made of their words, with the commit."""

from pathlib import Path
from typing import Any

import httpx
import pytest

import transcripts.api
import transcripts.search_api
from core.db import Database
from replay.subtitles import shown_cues
from tests.factories import sign_in
from tests.rooms.conftest import make_house
from tests.rooms.serving import in_process, make_app
from tests.transcripts.heard import Heard, make_heard, spoken

HERS, OTHERS = "bioluminescence", "phosphorescence"


@pytest.fixture
async def heard(database: Database) -> Heard:
    async with database.transaction() as session:
        heard = await make_heard(await make_house(session))
        ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
        words = {ada: spoken(f"{HERS} indeed"), grace: spoken(OTHERS, 20_000)}
        await heard.publish(await heard.run(words, missing=[(5000, 8000)]))
    return heard


async def everywhere(http: httpx.AsyncClient, heard: Heard, word: str) -> dict[str, bool]:
    """Where a word can be read or found."""
    path = f"/recordings/{heard.recording.id}"
    places: dict[str, Any] = {
        name: (await http.get(f"{path}/{name}")).text
        for name in (
            "transcript",
            "transcript.vtt",
            "transcript.srt",
            "transcript.txt",
            "transcript.json",
            "transcript/cues",
        )
    }
    found = (await http.get("/search", params={"q": word})).json()
    said = {name: word in text for name, text in places.items()}
    return said | {"search": bool(found["recordings"])}


async def test_everywhere_at_once_and_back(
    database: Database, heard: Heard, tmp_path: Path
) -> None:
    ada = heard.people["Ada"]
    async with database.transaction() as session:
        token = await sign_in(session, ada[0])
    app = make_app(database, tmp_path)
    app.include_router(transcripts.api.router)
    app.include_router(transcripts.search_api.router)
    async with in_process(app) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        consent = f"/rooms/{heard.room.id}/consent"
        for given in (True, False, True):
            assert (await http.put(consent, json={"consent": given})).status_code == 200
            hers = await everywhere(http, heard, HERS)
            assert set(hers.values()) == {given}, hers
            others = await everywhere(http, heard, OTHERS)
            assert set(others.values()) == {True}, others
            cues = (await http.get(f"/recordings/{heard.recording.id}/transcript/cues")).json()
            named = {s["participant_id"] for s in cues["speakers"]}
            assert (str(ada[1].id) in named) is given
            gaps = {m["participant_id"] for m in cues["missing"]}
            assert (str(ada[1].id) in gaps) is given
            async with database.transaction() as session:
                subtitles = await shown_cues(session, heard.recording.id)
            assert any(HERS in cue.text for cue in subtitles) is given
