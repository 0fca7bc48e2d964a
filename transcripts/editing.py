"""Correcting a transcript: what people put in place of what was heard, and undo.

Host and co-hosts correct everybody, speakers themselves. An edit names the version that its
author was reading: it is refused when somebody has changed the same stretch since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.principal import Principal
from core.auth.rights import AccountNeeded
from core.errors import Conflict, Invalid, NotFound
from core.ids import uuid7
from replay.recordings import room_of
from rooms.access import Action
from rooms.models import Participant, Room
from rooms.queries import spoken_with_consent
from transcripts.alignment import NoRoomError, words_of
from transcripts.cues import SHORTEST_MS
from transcripts.models import Patch, PatchState, RunTrack, Transcript
from transcripts.patches import Edit, Said, bounds, put, text_of, within
from transcripts.publication import edit_of, edited_track, republish
from transcripts.reading import head_of

LONGEST_MS: Final = 120_000
"""Of one edit."""

LONGEST_CUE_MS: Final = 30_000
"""That people may cut."""

MOST_WORDS: Final = 600
"""In one edit; of scripts that write no spaces, characters."""

MOST_STANDING: Final = 2_000
"""Edits of one track that were not withdrawn: all of them are applied anew with each one."""

MOST_MADE: Final = 10_000
"""Edits of one track, undone ones too. Of each alone: no speaker uses up what others have."""

SHORTEST_WORD_MS: Final = 30
"""Nobody says more words than this allows; what was heard in less may stay as many."""


class SpeakerUnknown(NotFound):
    code = "speaker_unknown"
    title = "Nobody by this id speaks in this transcript"


class EditUnknown(NotFound):
    code = "edit_unknown"
    title = "This transcript has no such edit"


class EditConflict(Conflict):
    """`extra`: the transcript's `version`, and `current_text` of the stretch."""

    code = "edit_conflict"
    title = "Somebody has changed this since you read it"


class EditedSince(Conflict):
    code = "edited_since"
    title = "A later edit stands on this one: undo that one first"


class NoConflict(Conflict):
    code = "no_conflict"
    title = "This edit is not in conflict"


class TooManyEdits(Conflict):
    """`standing` and `made`: how many there are; each has a bound."""

    code = "too_many_edits"
    title = "What this speaker said has been corrected too often: undo edits, or leave it"


class TooManyWords(Invalid):
    code = "too_many_words"
    title = "So many words can't be said in this time"


class OutsideRecording(Invalid):
    code = "outside_recording"
    title = "The recording ends before this"


class CueTooLong(Invalid):
    code = "cue_too_long"
    title = f"Nobody reads a cue of more than {LONGEST_CUE_MS // 1000} s: break it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """`text` in place of the words that start in [start_ms, end_ms); see patches.Edit."""

    base_version: int
    participant_id: UUID
    start_ms: int
    end_ms: int
    text: str | None
    breaks: tuple[int, ...] = ()


async def correct(
    session: AsyncSession, *, principal: Principal, recording_id: UUID, wanted: Correction
) -> tuple[Transcript, Patch | None]:
    """The edit, or None where the text is that already. The transcript is published anew.

    Raises EditConflict, OutsideRecording, TooManyWords, CueTooLong, TooManyEdits,
    TranscriptNotReady, SpeakerUnknown, and what access raises.
    """
    room, head = await opened(session, principal, recording_id, wanted.participant_id)
    said = (await edited_track(session, head, wanted.participant_id))[0].said
    _require_within(room, said, wanted)
    place = within(said, wanted.start_ms, wanted.end_ms)
    current = text_of(said[place])
    if await _touched_since(session, head, wanted):
        raise EditConflict(version=head.version, current_text=current)
    if not wanted.breaks and (wanted.text is None or wanted.text.split() == current.split()):
        return head, None
    patch = await _new_patch(session, principal, head, wanted, current)
    _try(said, edit_of(patch), place)
    await _publish(session, room, head, patch)
    return head, patch


def _try(said: Sequence[Said], edit: Edit, place: slice) -> None:
    """Raises TooManyWords, CueTooLong."""
    start_ms, end_ms = bounds(said, edit, place)
    fitting = max((end_ms - start_ms) // SHORTEST_WORD_MS, place.stop - place.start)
    if len(words_of(edit.text or "")) > min(fitting, MOST_WORDS):
        raise TooManyWords
    try:
        new = put(said, edit, place)
    except NoRoomError:
        raise TooManyWords from None
    if _longest_cue_ms(new[within(new, start_ms, end_ms)]) > LONGEST_CUE_MS:
        raise CueTooLong


def _longest_cue_ms(said: Sequence[Said]) -> int:
    """As far as people forbid that one begins."""
    longest = start_ms = 0
    for one in said:
        if one.begins is not False:
            start_ms = one.word.start_ms
        else:
            longest = max(longest, one.word.end_ms - start_ms)
    return longest


def _require_within(room: Room, said: Sequence[Said], wanted: Correction) -> None:
    """A cue at the very end is shown for a second, and so may be edited that far."""
    last_ms = max([room.duration_ms or 0, *(s.word.end_ms for s in said[-1:])]) + SHORTEST_MS
    if wanted.start_ms < 0 or wanted.end_ms > last_ms:
        raise OutsideRecording


async def undo(
    session: AsyncSession, *, principal: Principal, recording_id: UUID, patch_id: UUID
) -> Transcript:
    """As if it had not been made; one in conflict is given up. Again: nothing happens.

    Raises EditedSince, EditUnknown, and what access raises.
    """
    patch = await _patch(session, principal, recording_id, patch_id)
    room, head = await opened(session, principal, recording_id, patch.participant_id)
    await session.refresh(patch)
    if patch.state is PatchState.WITHDRAWN:
        return head
    if patch.state is PatchState.APPLIED and await _stood_on(session, patch):
        raise EditedSince
    await _withdraw(session, patch, head, author_of(principal))
    await republish(session, room, head, patch.participant_id)
    return head


async def keep(
    session: AsyncSession, *, principal: Principal, recording_id: UUID, patch_id: UUID
) -> tuple[Transcript, Patch]:
    """Decides a conflict for the edit: a new one puts its text in place of what is there now.

    Raises NoConflict, TooManyWords, CueTooLong, TooManyEdits, EditUnknown, and what access
    raises.
    """
    old = await _patch(session, principal, recording_id, patch_id)
    room, head = await opened(session, principal, recording_id, old.participant_id)
    await session.refresh(old)
    if old.state is not PatchState.CONFLICT:
        raise NoConflict
    await _withdraw(session, old, head, author_of(principal))
    said = (await edited_track(session, head, old.participant_id))[0].said
    place = within(said, old.start_ms, old.end_ms)
    wanted = Correction(
        base_version=head.version,
        participant_id=old.participant_id,
        start_ms=old.start_ms,
        end_ms=old.end_ms,
        text=old.text,
        breaks=tuple(old.breaks),
    )
    patch = await _new_patch(session, principal, head, wanted, text_of(said[place]))
    _try(said, edit_of(patch), place)
    await _publish(session, room, head, patch)
    return head, patch


async def opened(
    session: AsyncSession, principal: Principal, recording_id: UUID, participant_id: UUID
) -> tuple[Room, Transcript]:
    """The transcript, for a change of what this speaker says in it; the room is locked.

    Raises NotFound, TranscriptNotReady, SpeakerUnknown, and what access raises.
    """
    room = await editable(session, principal, recording_id, of=participant_id)
    head = await head_of(session, recording_id)
    await session.refresh(head)
    speaks = (
        sa.select(RunTrack.participant_id)
        .join(Participant, Participant.id == RunTrack.participant_id)
        .where(RunTrack.run_id == head.run_id, RunTrack.participant_id == participant_id)
        .where(spoken_with_consent())
    )
    if await session.scalar(speaks) is None:
        raise SpeakerUnknown
    return room, head


async def editable(
    session: AsyncSession, principal: Principal, recording_id: UUID, *, of: UUID
) -> Room:
    """The recording's room, locked, if the caller may edit what `of` said in it."""
    room, own = await room_of(session, principal, recording_id, Action.EDIT_OWN, lock=True)
    if own is None or own.id != of:
        await room_of(session, principal, recording_id, Action.EDIT)
    return room


def author_of(principal: Principal) -> UUID:
    """Raises AccountNeeded."""
    if principal.user_id is None:
        raise AccountNeeded
    return principal.user_id


async def _touched_since(session: AsyncSession, head: Transcript, wanted: Correction) -> bool:
    if not head.run_version <= wanted.base_version <= head.version:
        return True
    touched = sa.select(Patch.id).where(
        Patch.recording_id == head.recording_id,
        Patch.participant_id == wanted.participant_id,
        Patch.version > wanted.base_version,
        Patch.start_ms < wanted.end_ms,
        Patch.end_ms > wanted.start_ms,
    )
    return await session.scalar(touched.limit(1)) is not None


async def _new_patch(
    session: AsyncSession,
    principal: Principal,
    head: Transcript,
    wanted: Correction,
    replaced: str,
) -> Patch:
    """Raises TooManyEdits."""
    await _check_number(session, head, wanted.participant_id)
    last = sa.select(sa.func.coalesce(sa.func.max(Patch.number), 0)).where(
        Patch.recording_id == head.recording_id
    )
    return Patch(
        id=uuid7(),
        recording_id=head.recording_id,
        number=(await session.execute(last)).scalar_one() + 1,
        participant_id=wanted.participant_id,
        start_ms=wanted.start_ms,
        end_ms=wanted.end_ms,
        text=None if wanted.text is None else " ".join(wanted.text.split()),
        breaks=sorted(set(wanted.breaks)),
        replaced=replaced,
        run_id=head.run_id,
        author_id=author_of(principal),
    )


async def _check_number(session: AsyncSession, head: Transcript, who: UUID) -> None:
    standing = sa.func.count().filter(Patch.state != PatchState.WITHDRAWN)
    counted = sa.select(standing, sa.func.count()).where(
        Patch.recording_id == head.recording_id, Patch.participant_id == who
    )
    found = (await session.execute(counted)).one()
    if found[0] >= MOST_STANDING or found[1] >= MOST_MADE:
        raise TooManyEdits(standing=found[0], made=found[1])


async def _publish(session: AsyncSession, room: Room, head: Transcript, patch: Patch) -> None:
    patch.version = head.version + 1
    session.add(patch)
    await session.flush()
    await republish(session, room, head, patch.participant_id)


async def _withdraw(session: AsyncSession, patch: Patch, head: Transcript, user_id: UUID) -> None:
    patch.state, patch.version = PatchState.WITHDRAWN, head.version + 1
    patch.withdrawn_by, patch.withdrawn_at = user_id, sa.func.now()
    await session.flush()


async def _stood_on(session: AsyncSession, patch: Patch) -> bool:
    later = sa.select(Patch.id).where(
        Patch.recording_id == patch.recording_id,
        Patch.participant_id == patch.participant_id,
        Patch.state == PatchState.APPLIED,
        Patch.number > patch.number,
        Patch.start_ms < patch.end_ms,
        Patch.end_ms > patch.start_ms,
    )
    return await session.scalar(later.limit(1)) is not None


async def _patch(
    session: AsyncSession, principal: Principal, recording_id: UUID, patch_id: UUID
) -> Patch:
    await room_of(session, principal, recording_id, Action.EDIT_OWN)
    patch = await session.get(Patch, patch_id)
    if patch is None or patch.recording_id != recording_id:
        raise EditUnknown
    return patch
