"""API keys of a platform's servers, and the people those servers vouch for."""

import unicodedata
from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.display import clean_name
from core.auth.models import ApiKey, User
from core.auth.opaque import Prefix, digest, new_secret
from core.auth.principal import Kind, Principal, Scope
from core.auth.rights import require_scope
from core.errors import Forbidden, Invalid, NotFound
from core.ids import uuid7

MAX_EXTERNAL_ID_CHARS = 200


class ApiKeyNotFound(NotFound):
    code = "api_key_not_found"
    title = "This platform has no such API key"


class ScopeExceeded(Forbidden):
    code = "scope_exceeded"
    title = "A key can give only scopes that it has itself"


class ExternalIdInvalid(Invalid):
    code = "external_user_id_invalid"
    title = "An external user id has 1 to 200 printable characters"


def key_platform(principal: Principal) -> UUID:
    """The platform whose keys the caller may manage: its admin, or a key with `keys:write`.

    Raises Unauthenticated or ScopeMissing for everybody else.
    """
    if principal.kind is Kind.USER and principal.admin and principal.platform_id is not None:
        return principal.platform_id
    return require_scope(principal, Scope.KEYS_WRITE)


async def create_api_key(
    session: AsyncSession, principal: Principal, *, name: str, scopes: Sequence[Scope]
) -> tuple[ApiKey, str]:
    """The key and its secret, which is shown here and never again.

    Raises what `key_platform` does, ScopeExceeded, NameInvalid.
    """
    platform_id = key_platform(principal)
    if principal.kind is Kind.API_KEY and not principal.scopes >= set(scopes):
        raise ScopeExceeded
    secret = new_secret(Prefix.API_KEY)
    key = ApiKey(
        platform_id=platform_id,
        name=clean_name(name),
        secret_sha256=digest(secret),
        scopes=sorted(set(scopes)),
    )
    session.add(key)
    await session.flush()
    return key, secret


async def list_api_keys(session: AsyncSession, principal: Principal) -> Sequence[ApiKey]:
    """Those of the caller's platform that still work, newest first."""
    mine = sa.select(ApiKey).where(
        ApiKey.platform_id == key_platform(principal), ApiKey.revoked_at.is_(None)
    )
    return (await session.scalars(mine.order_by(ApiKey.id.desc()))).all()


async def revoke_api_key(session: AsyncSession, principal: Principal, *, key_id: UUID) -> None:
    """From the next request on the key is refused. Raises ApiKeyNotFound."""
    mine = (ApiKey.id == key_id, ApiKey.platform_id == key_platform(principal))
    statement = sa.update(ApiKey).where(*mine, ApiKey.revoked_at.is_(None))
    done = await session.scalar(statement.values(revoked_at=sa.func.now()).returning(ApiKey.id))
    if done is None:
        raise ApiKeyNotFound


async def upsert_external_user(
    session: AsyncSession, principal: Principal, *, external_user_id: str, display_name: str
) -> tuple[User, bool]:
    """The platform's person by its own id, with this name from now on; True when new.

    One statement, so parallel calls end in one row. Raises ScopeMissing, ExternalIdInvalid,
    NameInvalid.
    """
    platform_id = require_scope(principal, Scope.USERS_WRITE)
    row = {
        "id": uuid7(),
        "platform_id": platform_id,
        "external_user_id": checked_external_id(external_user_id),
        "display_name": clean_name(display_name),
    }
    statement = (
        insert(User)
        .values(row)
        .on_conflict_do_update(
            index_elements=[User.platform_id, User.external_user_id],
            set_={"display_name": row["display_name"]},
        )
        .returning(User)
        .execution_options(populate_existing=True)
    )
    user = (await session.scalars(statement)).one()
    return user, user.id == row["id"]


async def external_user(
    session: AsyncSession, principal: Principal, *, external_user_id: str
) -> User | None:
    """The platform's person by its own id. Raises ScopeMissing, ExternalIdInvalid."""
    return await session.scalar(
        sa.select(User).where(
            User.platform_id == require_scope(principal, Scope.USERS_WRITE),
            User.external_user_id == checked_external_id(external_user_id),
        )
    )


def checked_external_id(text: str) -> str:
    """Kept as it is, byte for byte: it is the platform's. Raises ExternalIdInvalid."""
    plain = all(not unicodedata.category(char).startswith("C") for char in text)
    if not plain or not 1 <= len(text) <= MAX_EXTERNAL_ID_CHARS:
        raise ExternalIdInvalid
    return text
