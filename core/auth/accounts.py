"""Accounts of our own: an email, a password, and the mailbox as proof.

No answer tells whether an address has an account: registration, sign-in and reset say and cost
the same either way; only the mailbox's owner learns it.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth.display import clean_name
from core.auth.letters import Letters
from core.auth.models import MailPurpose, MailToken, User
from core.auth.opaque import Prefix, digest, new_secret, well_formed
from core.auth.passwords import check_password, hash_password, needs_rehash, verify_password
from core.auth.platforms import ensure_default_platform
from core.auth.sessions import SignedIn, close_all_sessions, open_session
from core.db import Database
from core.errors import Forbidden, Invalid, Unauthenticated
from core.ids import uuid7
from core.settings import Environment, Settings

ADMIN_NAME = "Encore"
TOKEN_LIFETIME = {
    MailPurpose.VERIFY_EMAIL: timedelta(hours=24),
    MailPurpose.RESET_PASSWORD: timedelta(hours=1),
}


class EmailInvalid(Invalid):
    code = "email_invalid"
    title = "This is not an email address"


class SignInFailed(Unauthenticated):
    code = "sign_in_failed"
    title = "Email or password is wrong"


class PasswordWrong(Forbidden):
    code = "password_wrong"
    title = "The current password is wrong"


class MailTokenInvalid(Invalid):
    code = "mail_token_invalid"
    title = "This link was used already or has expired; ask for a new one"


class EmailNotVerified(Forbidden):
    code = "email_not_verified"
    title = "Confirm your email address first; the link is in your mailbox"


def normal_email(text: str) -> str:
    """The address as stored: domain in lower case, no comments. Raises EmailInvalid."""
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise EmailInvalid from None


async def register(
    session: AsyncSession,
    letters: Letters,
    *,
    platform_id: UUID,
    email: str,
    password: str,
    display_name: str,
) -> None:
    """Makes an account and mails a link that confirms the address.

    An address that has one already is left alone and its owner told by mail; proof of the mailbox
    (the reset link) is then the only way in, whoever registered first. Raises EmailInvalid,
    NameInvalid, PasswordUnfit.
    """
    address, name = normal_email(email), clean_name(display_name)
    check_password(password, email=address, display_name=name)
    password_hash = await hash_password(password)
    row = {
        "id": uuid7(),
        "platform_id": platform_id,
        "email": address,
        "display_name": name,
        "password_hash": password_hash,
    }
    made = await session.scalar(
        insert(User).values(row).on_conflict_do_nothing().returning(User.id)
    )
    if made is not None:
        token = await _mail_token(session, made, MailPurpose.VERIFY_EMAIL)
        await letters.verify(session, to=address, token=token)
        return
    user = await find_user(session, platform_id, address)
    if user is None or user.disabled_at is not None:
        return
    await drop_mail_tokens(session, user.id)
    token = await _mail_token(session, user.id, MailPurpose.RESET_PASSWORD)
    await letters.exists_already(session, to=user.email or address, token=token)


async def create_admin(session: AsyncSession, email: str, password: str) -> User:
    """An operator of Encore's own site, for the command line: the address counts as verified.

    An existing account gets this password, loses its sessions and becomes an operator. Raises
    EmailInvalid, PasswordUnfit.
    """
    address = normal_email(email)
    check_password(password, email=address)
    password_hash = await hash_password(password)
    platform_id = await ensure_default_platform(session)
    user = await find_user(session, platform_id, address)
    if user is None:
        user = User(platform_id=platform_id, email=address, display_name=ADMIN_NAME)
        session.add(user)
    user.password_hash = password_hash
    user.email_verified_at = user.email_verified_at or datetime.now(UTC)
    user.is_admin, user.disabled_at = True, None
    await session.flush()
    await close_all_sessions(session, user.id)
    await drop_mail_tokens(session, user.id)
    return user


async def verify_email(session: AsyncSession, *, token: str) -> User:
    """Confirms the address that `token` was mailed to. Raises MailTokenInvalid."""
    user = await _redeem(session, token, MailPurpose.VERIFY_EMAIL)
    user.email_verified_at = user.email_verified_at or datetime.now(UTC)
    return user


async def sign_in(
    database: Database,
    *,
    platform_id: UUID,
    email: str,
    password: str,
    replaces: str | None = None,
) -> SignedIn:
    """A new session; an unverified address may sign in too. Raises SignInFailed.

    Two transactions: no connection is held during the hash, or a flood of sign-ins
    would leave none for everybody else.
    """
    async with database.transaction() as session:
        user = await find_user(session, platform_id, email)
    stored = user.password_hash if user is not None else None
    matches = await verify_password(stored, password)
    if user is None or stored is None or not matches or user.disabled_at is not None:
        raise SignInFailed
    better = await hash_password(password) if needs_rehash(stored) else None
    async with database.transaction() as session:
        if better is not None:
            unchanged = (User.id == user.id, User.password_hash == stored)
            await session.execute(sa.update(User).where(*unchanged).values(password_hash=better))
        return await open_session(session, user, replaces=replaces)


async def request_reset(
    session: AsyncSession, letters: Letters, *, platform_id: UUID, email: str
) -> None:
    """Mails a link for a new password if the address has an account; silent otherwise."""
    user = await find_user(session, platform_id, email)
    if user is None or user.email is None or user.disabled_at is not None:
        return
    token = await _mail_token(session, user.id, MailPurpose.RESET_PASSWORD)
    await letters.reset(session, to=user.email, token=token)


async def confirm_reset(
    session: AsyncSession, letters: Letters, *, token: str, password: str
) -> None:
    """Sets the password and ends every session; the mailbox is proven, so the email is verified.

    Raises PasswordUnfit (the link stays good), MailTokenInvalid.
    """
    check_password(password)
    user = await _redeem(session, token, MailPurpose.RESET_PASSWORD)
    check_password(password, email=user.email or "", display_name=user.display_name)
    user.email_verified_at = user.email_verified_at or datetime.now(UTC)
    await _set_password(session, letters, user, password)


async def change_password(
    session: AsyncSession, letters: Letters, *, user_id: UUID, current: str, password: str
) -> SignedIn:
    """Sets the password, ends every session and opens a new one for the caller.

    Raises PasswordWrong (`current`), PasswordUnfit.
    """
    user = await session.get_one(User, user_id, with_for_update=True)
    if not await verify_password(user.password_hash, current):
        raise PasswordWrong
    check_password(password, email=user.email or "", display_name=user.display_name)
    await _set_password(session, letters, user, password)
    return await open_session(session, user)


async def rename(session: AsyncSession, *, user_id: UUID, display_name: str) -> User:
    """Raises NameInvalid."""
    user = await session.get_one(User, user_id)
    user.display_name = clean_name(display_name)
    return user


async def require_verified(session: AsyncSession, settings: Settings, user_id: UUID) -> None:
    """Raises EmailNotVerified in production for an account whose address is not confirmed.

    People whom a platform vouches for (external ids) have no address of ours to confirm.
    """
    if settings.environment is not Environment.PRODUCTION:
        return
    user = await session.get_one(User, user_id)
    if user.external_user_id is None and user.email_verified_at is None:
        raise EmailNotVerified


async def _set_password(session: AsyncSession, letters: Letters, user: User, password: str) -> None:
    user.password_hash = await hash_password(password)
    await close_all_sessions(session, user.id)
    await drop_mail_tokens(session, user.id)
    if user.email is not None:
        await letters.password_changed(session, to=user.email)


async def find_user(session: AsyncSession, platform_id: UUID, email: str) -> User | None:
    """None too for what is no address at all."""
    try:
        address = normal_email(email)
    except EmailInvalid:
        return None
    same = sa.func.lower(User.email) == sa.func.lower(address)
    return await session.scalar(sa.select(User).where(User.platform_id == platform_id, same))


async def _mail_token(session: AsyncSession, user_id: UUID, purpose: MailPurpose) -> str:
    token = new_secret(Prefix.MAIL)
    expires_at = datetime.now(UTC) + TOKEN_LIFETIME[purpose]
    row = MailToken(
        user_id=user_id, purpose=purpose, secret_sha256=digest(token), expires_at=expires_at
    )
    session.add(row)
    await session.flush()
    return token


async def _redeem(session: AsyncSession, token: str, purpose: MailPurpose) -> User:
    """The user of an unused token, used from now on; the guarded update lets one caller win."""
    if not well_formed(token, Prefix.MAIL):
        raise MailTokenInvalid
    now = datetime.now(UTC)
    usable = (
        MailToken.secret_sha256 == digest(token),
        MailToken.purpose == purpose,
        MailToken.used_at.is_(None),
        MailToken.expires_at > now,
    )
    statement = sa.update(MailToken).where(*usable).values(used_at=now)
    user_id = await session.scalar(statement.returning(MailToken.user_id))
    user = await session.get(User, user_id) if user_id is not None else None
    if user is None or user.disabled_at is not None:
        raise MailTokenInvalid
    return user


async def drop_mail_tokens(session: AsyncSession, user_id: UUID) -> None:
    """Links mailed earlier stop working."""
    unused = sa.update(MailToken).where(MailToken.user_id == user_id, MailToken.used_at.is_(None))
    await session.execute(unused.values(used_at=sa.func.now()))
