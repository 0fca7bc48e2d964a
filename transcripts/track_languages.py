"""Which language somebody speaks, where a person says so: detection is for everybody else."""

from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.errors import Invalid
from rooms.access import Action
from rooms.queries import participant_in, room_for
from transcripts.models import TrackLanguage

_CODES: Final = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he"
    " hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne"
    " nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk"
    " ur uz vi yi yo yue zh"
)
SPOKEN: Final = frozenset(_CODES.split())
"""What multilingual Whisper models were trained for, as they name it."""


class LanguageNotSpoken(Invalid):
    code = "language_not_spoken"
    title = "No model understands this language"


async def set_language(
    session: AsyncSession,
    *,
    principal: Principal,
    room_id: UUID,
    participant_id: UUID,
    language: str | None,
) -> None:
    """From the next run on, and for captions; None has it detected.

    The person themselves may, and who may have the room transcribed. Raises LanguageNotSpoken,
    NotFound, and what access raises.
    """
    room, own = await room_for(session, principal, room_id, Action.SEE)
    if own is None or own.id != participant_id or own.removed:
        await room_for(session, principal, room_id, Action.TRANSCRIBE)
    participant = await participant_in(session, room, participant_id)
    if language is None:
        await session.execute(
            sa.delete(TrackLanguage).where(TrackLanguage.participant_id == participant.id)
        )
        return
    values = {"language": _spoken(language), "set_by": principal.user_id}
    await session.execute(
        insert(TrackLanguage)
        .values(participant_id=participant.id, **values)
        .on_conflict_do_update(
            index_elements=[TrackLanguage.participant_id],
            set_={**values, "set_at": sa.func.now()},
        )
    )


def _spoken(tag: str) -> str:
    """`pt` of `pt-BR`."""
    language = tag.partition("-")[0].lower()
    if language not in SPOKEN:
        raise LanguageNotSpoken(f"No model here understands {tag}.")
    return language
