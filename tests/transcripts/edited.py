"""A published transcript that tests correct."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from core.auth.principal import Principal
from rooms.models import Participant, Role
from tests.factories import as_user
from tests.rooms.conftest import House
from tests.transcripts.heard import Heard, make_heard, spoken
from transcripts.editing import (
    Correction,
    correct,
    undo,
)
from transcripts.models import Patch, Transcript

SAID = "what the see keeps it keeps well"


class Studio:
    """A published transcript of Ada and Grace, whose host is Hedy."""

    def __init__(self, heard: Heard, ada: Participant, grace: Participant) -> None:
        self.heard, self.ada, self.grace = heard, ada, grace
        self.session, self.recording_id = heard.session, heard.recording.id

    def caller(self, name: str) -> Principal:
        return as_user(self.heard.people[name][0])

    async def correct(
        self, start_ms: int, end_ms: int, text: str | None, *breaks: int, **other: Any
    ) -> Patch | None:
        who: Participant = other.get("of", self.ada)
        wanted = Correction(
            base_version=other.get("base", await self.version()),
            participant_id=who.id,
            start_ms=start_ms,
            end_ms=end_ms,
            text=text,
            breaks=breaks,
        )
        principal = self.caller(other.get("by", "Hedy"))
        made = await correct(
            self.session, principal=principal, recording_id=self.recording_id, wanted=wanted
        )
        return made[1]

    async def undo(self, patch_id: UUID, by: str = "Hedy") -> Transcript:
        principal = self.caller(by)
        return await undo(
            self.session, principal=principal, recording_id=self.recording_id, patch_id=patch_id
        )

    async def version(self) -> int:
        query = sa.select(Transcript.version).where(Transcript.recording_id == self.recording_id)
        return (await self.session.execute(query)).scalar_one()

    async def said(self, who: Participant | None = None) -> str:
        who = who or self.ada
        cues = [c for c in await self.heard.cues() if c.participant_id == who.id]
        return " ".join(word[2] for cue in cues for word in cue.words)


def made(patch: Patch | None) -> Patch:
    assert patch is not None
    return patch


async def make_studio(house: House) -> Studio:
    heard = await make_heard(house)
    await heard.speaker("Hedy", Role.HOST)
    ada, grace = await heard.speaker("Ada"), await heard.speaker("Grace")
    await heard.publish(await heard.run({ada: spoken(SAID), grace: spoken("welcome all", 20_000)}))
    return Studio(heard, ada, grace)
