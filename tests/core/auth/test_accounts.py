from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncSession

from core.auth import accounts
from core.auth.credentials import SessionExpired, SessionInvalid, current_login
from core.auth.letters import Letters
from core.auth.models import LoginSession, MailToken, User
from core.auth.passwords import PasswordUnfit, verify_password
from core.auth.sessions import close_session, open_session, rotate_session
from core.db import Database
from core.settings import Environment, Settings
from tests.core.auth.outbox import Outbox
from tests.factories import make_platform, make_user, sign_in

PASSWORD = "a good long passphrase"
OTHER = "another long passphrase"


def address() -> str:
    return f"{uuid4().hex}@example.org"


async def register(
    session: AsyncSession, letters: Letters, platform_id: UUID, email: str, name: str = "Ada"
) -> None:
    await accounts.register(
        session,
        letters,
        platform_id=platform_id,
        email=email,
        password=PASSWORD,
        display_name=name,
    )


async def the_user(session: AsyncSession, email: str) -> User:
    found = await session.scalars(sa.select(User).where(User.email == email))
    user = found.one()
    await session.refresh(user)
    return user


async def test_a_new_account_is_confirmed_by_mail(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email)
    user = await the_user(session, email)
    assert (user.display_name, user.email_verified_at) == ("Ada", None)
    assert await verify_password(user.password_hash, PASSWORD)
    token = outbox.mails[0].token
    assert (await accounts.verify_email(session, token=token)).email_verified_at is not None
    with pytest.raises(accounts.MailTokenInvalid):
        await accounts.verify_email(session, token=token)


async def test_an_address_with_an_account_is_left_alone_and_its_owner_told(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email)
    before = (await the_user(session, email)).password_hash
    await accounts.register(
        session,
        letters,
        platform_id=platform.id,
        email=email.upper(),
        password=OTHER,
        display_name="Mallory",
    )
    user = await the_user(session, email)
    assert (user.password_hash, user.display_name) == (before, "Ada")
    assert [mail.subject for mail in outbox.to(email)] == [
        "Confirm your address",
        "You have an account already",
    ]


async def test_the_mailbox_wins_over_whoever_registered_first(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    """Mallory registers Ada's address and signs in; Ada then registers, and follows her mail."""
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email, "Mallory")
    mallory = await the_user(session, email)
    stolen = await sign_in(session, mallory)
    await register(session, letters, platform.id, email, "Ada")
    first, second = outbox.to(email)
    with pytest.raises(accounts.MailTokenInvalid):
        await accounts.verify_email(session, token=first.token)
    await accounts.confirm_reset(session, letters, token=second.token, password=OTHER)
    user = await the_user(session, email)
    assert user.email_verified_at is not None
    assert not await verify_password(user.password_hash, PASSWORD)
    with pytest.raises(SessionInvalid):
        await current_login(session, stolen)


async def test_the_same_address_on_two_platforms_is_two_accounts(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    email = address()
    for _ in range(2):
        platform = await make_platform(session)
        await register(session, letters, platform.id, email)
    assert [mail.subject for mail in outbox.to(email)] == ["Confirm your address"] * 2


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.org", "a b@example.org", "a\x00@example.org", "x" * 300,
     "ada@example.org\r\nBcc: all@example.org"],
)  # fmt: skip
async def test_what_is_no_address(
    session: AsyncSession, database: Database, letters: Letters, outbox: Outbox, email: str
) -> None:
    with pytest.raises(accounts.EmailInvalid):
        accounts.normal_email(email)
    await accounts.request_reset(session, letters, platform_id=uuid4(), email=email)
    with pytest.raises(accounts.SignInFailed):
        await accounts.sign_in(database, platform_id=uuid4(), email=email, password=PASSWORD)
    assert outbox.mails == []


async def test_sign_in(database: Database, letters: Letters) -> None:
    email = address()
    async with database.transaction() as session:
        platform = await make_platform(session)
        await register(session, letters, platform.id, email)
    signed_in = await accounts.sign_in(
        database, platform_id=platform.id, email=f" {email.upper()} ", password=PASSWORD
    )
    assert signed_in.expires_at > datetime.now(UTC) + timedelta(days=29)
    again = await accounts.sign_in(
        database,
        platform_id=platform.id,
        email=email,
        password=PASSWORD,
        replaces=signed_in.token,
    )
    async with database.transaction() as session:
        assert (await current_login(session, again.token))[1].email == email
        with pytest.raises(SessionInvalid):
            await current_login(session, signed_in.token)


async def test_who_may_not_sign_in(database: Database, letters: Letters) -> None:
    known, disabled, oidc = address(), address(), address()
    async with database.transaction() as session:
        platform = await make_platform(session)
        other = await make_platform(session)
        await register(session, letters, platform.id, known)
        await register(session, letters, platform.id, disabled)
        await make_user(session, platform, email=oidc)
        (await the_user(session, disabled)).disabled_at = datetime.now(UTC)
    attempts = [
        (platform.id, known, OTHER),
        (platform.id, known, ""),
        (platform.id, address(), PASSWORD),
        (platform.id, disabled, PASSWORD),
        (platform.id, oidc, PASSWORD),
        (platform.id, oidc, ""),
        (other.id, known, PASSWORD),
    ]
    said = set()
    for platform_id, email, password in attempts:
        with pytest.raises(accounts.SignInFailed) as caught:
            await accounts.sign_in(
                database, platform_id=platform_id, email=email, password=password
            )
        said.add(str(caught.value.body()))
    assert len(said) == 1


async def test_signing_in_renews_a_weak_hash(database: Database) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
    async with database.transaction() as session:
        user = await make_user(session)
        user.password_hash = weak
    await accounts.sign_in(
        database, platform_id=user.platform_id, email=user.email or "", password=PASSWORD
    )
    async with database.transaction() as session:
        renewed = (await session.get_one(User, user.id)).password_hash
    assert renewed != weak
    assert await verify_password(renewed, PASSWORD)


async def test_a_reset_ends_sessions_and_works_once(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    user = await make_user(session, verified=False)
    email, token = user.email or "", await sign_in(session, user)
    for _ in range(2):
        await accounts.request_reset(
            session, letters, platform_id=user.platform_id, email=email.upper()
        )
    first, second = outbox.to(email)
    with pytest.raises(PasswordUnfit):
        await accounts.confirm_reset(session, letters, token=first.token, password="short")
    await accounts.confirm_reset(session, letters, token=first.token, password=OTHER)
    for used in (first, second):
        with pytest.raises(accounts.MailTokenInvalid):
            await accounts.confirm_reset(session, letters, token=used.token, password=PASSWORD)
    user = await the_user(session, email)
    assert await verify_password(user.password_hash, OTHER)
    assert user.email_verified_at is not None
    with pytest.raises(SessionInvalid):
        await current_login(session, token)
    assert outbox.to(email)[-1].subject == "Your password was changed"


async def test_a_reset_refuses_the_address_as_password_and_the_link_stays_good(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    user = await make_user(session)
    email = user.email or ""
    await accounts.request_reset(session, letters, platform_id=user.platform_id, email=email)
    (link,) = outbox.to(email)
    with pytest.raises(PasswordUnfit):
        async with session.begin_nested():  # a refused request is rolled back
            await accounts.confirm_reset(session, letters, token=link.token, password=email)
    await accounts.confirm_reset(session, letters, token=link.token, password=OTHER)


async def test_nobody_is_mailed_about_an_unknown_or_disabled_account(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    user = await make_user(session)
    user.disabled_at = datetime.now(UTC)
    await session.flush()
    for email in (user.email or "", address()):
        await accounts.request_reset(session, letters, platform_id=user.platform_id, email=email)
    await register(session, letters, user.platform_id, user.email or "")
    assert outbox.mails == []


async def test_mail_tokens_expire_and_serve_one_purpose(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email)
    verify = outbox.mails[0].token
    with pytest.raises(accounts.MailTokenInvalid):
        await accounts.confirm_reset(session, letters, token=verify, password=OTHER)
    await session.execute(sa.update(MailToken).values(expires_at=datetime.now(UTC)))
    for token in (verify, "", "em_", "es_" + "A" * 43, "em_" + "A" * 43, "em_\x00"):
        with pytest.raises(accounts.MailTokenInvalid):
            await accounts.verify_email(session, token=token)


async def test_changing_the_password(
    session: AsyncSession, letters: Letters, outbox: Outbox
) -> None:
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email)
    user = await the_user(session, email)
    old = await sign_in(session, user)
    with pytest.raises(accounts.PasswordWrong):
        await accounts.change_password(
            session, letters, user_id=user.id, current=OTHER, password=OTHER
        )
    with pytest.raises(PasswordUnfit):
        await accounts.change_password(
            session, letters, user_id=user.id, current=PASSWORD, password=email
        )
    new = await accounts.change_password(
        session, letters, user_id=user.id, current=PASSWORD, password=OTHER
    )
    assert (await current_login(session, new.token))[1].id == user.id
    with pytest.raises(SessionInvalid):
        await current_login(session, old)
    with pytest.raises(accounts.MailTokenInvalid):
        await accounts.verify_email(session, token=outbox.mails[0].token)


async def test_a_rotated_session_has_a_new_secret(session: AsyncSession) -> None:
    user = await make_user(session)
    first = await open_session(session, user)
    second = await rotate_session(session, first.token)
    assert first.token != second.token
    assert (await current_login(session, second.token))[1].id == user.id
    with pytest.raises(SessionInvalid):
        await rotate_session(session, first.token)
    await close_session(session, second.token)
    with pytest.raises(SessionInvalid):
        await current_login(session, second.token)


async def test_an_expired_session_cannot_be_rotated(session: AsyncSession) -> None:
    token = await sign_in(session, await make_user(session), expires_in=timedelta(0))
    with pytest.raises(SessionExpired):
        await rotate_session(session, token)


@pytest.mark.parametrize("environment", Environment)
@pytest.mark.parametrize(
    ("verified", "external", "fits"),
    [(True, None, True), (False, None, False), (False, "their-id", True)],
)
async def test_production_wants_a_confirmed_address(
    session: AsyncSession,
    settings: Settings,
    environment: Environment,
    verified: bool,
    external: str | None,
    fits: bool,
) -> None:
    user = await make_user(session, verified=verified, external_user_id=external)
    there = settings.model_copy(update={"environment": environment})
    if fits or environment is Environment.DEVELOPMENT:
        await accounts.require_verified(session, there, user.id)
    else:
        with pytest.raises(accounts.EmailNotVerified):
            await accounts.require_verified(session, there, user.id)


async def test_no_secret_is_stored_in_the_clear(
    session: AsyncSession, letters: Letters, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    platform, email = await make_platform(session), address()
    await register(session, letters, platform.id, email)
    user = await the_user(session, email)
    signed_in = await open_session(session, user)
    secrets = [PASSWORD, signed_in.token, outbox.mails[0].token]
    secrets += [secret[3:] for secret in secrets[1:]]
    for table in (User, LoginSession, MailToken):
        name = table.__tablename__
        rows = await session.scalars(sa.text(f"select t::text || row_to_json(t) from {name} t"))
        text = "\n".join(rows)
        assert text
        assert not [secret for secret in secrets if secret in text or secret.encode().hex() in text]
    assert not [secret for secret in [*secrets, email] if secret in caplog.text]
