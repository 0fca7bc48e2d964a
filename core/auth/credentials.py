"""From what a request presents to the principal it stands for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.models import ApiKey, LoginSession, User
from core.auth.opaque import Prefix, digest, well_formed
from core.auth.principal import Kind, Principal
from core.auth.room_tokens import looks_like_jwt, read_room_token
from core.errors import Unauthenticated

SESSION_LIFETIME = timedelta(days=30)
SLIDE_AFTER = timedelta(days=1)
"""A session in use is prolonged once a day, not at every request."""

USED_RESOLUTION = timedelta(minutes=1)


class Source(StrEnum):
    HEADER = "header"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class Credential:
    """What came with the request, not yet checked."""

    source: Source
    secret: str


class CredentialUnknown(Unauthenticated):
    code = "credential_unknown"
    title = "This Authorization header holds no session, API key or room token"


class SessionInvalid(Unauthenticated):
    code = "session_invalid"
    title = "This session is not valid; sign in again"


class SessionExpired(Unauthenticated):
    code = "session_expired"
    title = "This session has expired; sign in again"


class ApiKeyInvalid(Unauthenticated):
    code = "api_key_invalid"
    title = "This API key does not exist or was revoked"


async def authenticate(
    session: AsyncSession, credential: Credential, *, secret: bytes
) -> Principal:
    """The principal behind `credential`; `secret` is the installation's.

    Raises a subclass of Unauthenticated that names what to do.
    """
    presented = credential.secret
    if presented.startswith(Prefix.SESSION) or credential.source is Source.COOKIE:
        return await _by_session(session, presented)
    if presented.startswith(Prefix.API_KEY):
        return await _by_api_key(session, presented)
    if looks_like_jwt(presented):
        return _by_room_token(secret, presented)
    raise CredentialUnknown


async def current_login(session: AsyncSession, token: str) -> tuple[LoginSession, User]:
    """The valid session of `token` and its user. Raises SessionInvalid or SessionExpired."""
    if not well_formed(token, Prefix.SESSION):
        raise SessionInvalid
    query = (
        sa.select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.secret_sha256 == digest(token))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None or row[0].revoked_at is not None or row[1].disabled_at is not None:
        raise SessionInvalid
    if row[0].expires_at <= datetime.now(UTC):
        raise SessionExpired
    return row[0], row[1]


async def _by_session(session: AsyncSession, token: str) -> Principal:
    login, user = await current_login(session, token)
    until = datetime.now(UTC) + SESSION_LIFETIME
    if until - login.expires_at > SLIDE_AFTER:
        await _write_unless_busy(session, LoginSession, login.id, {"expires_at": until})
    return Principal(
        kind=Kind.USER,
        platform_id=user.platform_id,
        user_id=user.id,
        display_name=user.display_name,
        admin=user.is_admin,
    )


async def _by_api_key(session: AsyncSession, presented: str) -> Principal:
    if not well_formed(presented, Prefix.API_KEY):
        raise ApiKeyInvalid
    key = await session.scalar(sa.select(ApiKey).where(ApiKey.secret_sha256 == digest(presented)))
    if key is None or key.revoked_at is not None:
        raise ApiKeyInvalid
    now = datetime.now(UTC)
    if key.last_used_at is None or now - key.last_used_at > USED_RESOLUTION:
        await _write_unless_busy(session, ApiKey, key.id, {"last_used_at": now})
    return Principal(kind=Kind.API_KEY, platform_id=key.platform_id, scopes=frozenset(key.scopes))


def _by_room_token(secret: bytes, presented: str) -> Principal:
    claims = read_room_token(secret, presented)
    return Principal(
        kind=Kind.ROOM_TOKEN,
        platform_id=claims.platform_id,
        user_id=claims.user_id,
        display_name=claims.display_name,
        groups=frozenset(claims.groups),
        room_id=claims.room_id,
        expires_at=claims.expires_at,
    )


async def _write_unless_busy(
    session: AsyncSession,
    table: type[LoginSession] | type[ApiKey],
    row_id: UUID,
    values: dict[str, datetime],
) -> None:
    """Skips a locked row: parallel requests of one key must not wait for each other's commit."""
    free = sa.select(table.id).where(table.id == row_id).with_for_update(skip_locked=True)
    statement = sa.update(table).where(table.id.in_(free)).values(**values)
    await session.execute(statement.execution_options(synchronize_session=False))
