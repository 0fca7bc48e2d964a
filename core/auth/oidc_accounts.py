"""Which of our users an OpenID identity is."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.accounts import EmailInvalid, SignInFailed, drop_mail_tokens, find_user, normal_email
from core.auth.display import MAX_NAME_CHARS, NameInvalid, clean_name
from core.auth.models import OidcIdentity, User
from core.auth.oidc import Identity
from core.auth.sessions import SignedIn, close_all_sessions, open_session
from core.ids import uuid7

NAMELESS = "Guest"


async def sign_in_with(
    session: AsyncSession, *, platform_id: UUID, identity: Identity, replaces: str | None = None
) -> SignedIn:
    """A session of the user that `identity` is bound to.

    A new identity is bound to the account with the same address if the provider has verified
    it, and to a new account otherwise. Raises SignInFailed for a disabled account.
    """
    await _one_at_a_time(session, identity)
    user = await _bound_user(session, platform_id, identity)
    if user is None:
        user = await _user_for(session, platform_id, identity)
        bound = OidcIdentity(
            platform_id=platform_id,
            user_id=user.id,
            issuer=identity.issuer,
            subject=identity.subject,
        )
        session.add(bound)
    if user.disabled_at is not None:
        raise SignInFailed
    return await open_session(session, user, replaces=replaces)


async def _one_at_a_time(session: AsyncSession, identity: Identity) -> None:
    """Two first sign-ins of one person at once must not make two accounts."""
    name = f"oidc {identity.issuer} {identity.subject}"
    await session.execute(
        sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0)))
    )


async def _bound_user(session: AsyncSession, platform_id: UUID, identity: Identity) -> User | None:
    query = (
        sa.select(User)
        .join(OidcIdentity, OidcIdentity.user_id == User.id)
        .where(
            OidcIdentity.platform_id == platform_id,
            OidcIdentity.issuer == identity.issuer,
            OidcIdentity.subject == identity.subject,
        )
    )
    return await session.scalar(query)


async def _user_for(session: AsyncSession, platform_id: UUID, identity: Identity) -> User:
    email = _address(identity)
    row = {
        "id": uuid7(),
        "platform_id": platform_id,
        "display_name": _name(identity.name),
        "email": email,
        "email_verified_at": datetime.now(UTC) if email else None,
    }
    made = await session.scalar(
        insert(User).values(row).on_conflict_do_nothing().returning(User.id)
    )
    if made is not None or email is None:
        return await session.get_one(User, row["id"])
    user = await find_user(session, platform_id, email)
    assert user is not None  # noqa: S101 - the address was taken a statement ago; none is deleted
    await _prove_mailbox(session, user)
    return user


async def _prove_mailbox(session: AsyncSession, user: User) -> None:
    """Whoever registered the address without confirming it loses the account to its owner."""
    if user.email_verified_at is not None:
        return
    user.email_verified_at = datetime.now(UTC)
    user.password_hash = None
    await close_all_sessions(session, user.id)
    await drop_mail_tokens(session, user.id)


def _address(identity: Identity) -> str | None:
    try:
        return normal_email(identity.email) if identity.email else None
    except EmailInvalid:
        return None


def _name(text: str) -> str:
    try:
        return clean_name(text[:MAX_NAME_CHARS])
    except NameInvalid:
        return NAMELESS
