import base64
import json
import re
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag

from core.auth import accounts
from core.auth.letters import letters_of
from core.auth.platforms import ensure_default_platform
from core.db import Database
from core.http import Services
from core.ids import uuid7
from core.listen import Listener
from core.mail import (
    SEND_JOB,
    Letter,
    MailRefused,
    MailUnavailable,
    MailUrlInvalid,
    OutboxMailer,
    SmtpMailer,
    open_mailer,
    send_mail,
)
from core.postgres import free_port
from core.settings import Settings
from core.storage import open_store
from tests.core.certificates import loopback_tls
from tests.core.smtp_server import SmtpServer

SECRET = b"a secret of this test installation, long enough"
SENDER = "Encore <no-reply@encore.example>"


def letter() -> Letter:
    return Letter(uuid7(), "ada@example.org", "Conferma – ciao", "Perché no?\n.\nFine\n")


def mailer(server: SmtpServer) -> SmtpMailer:
    return SmtpMailer("127.0.0.1", server.port, SENDER)


async def test_without_a_url_letters_become_files(tmp_path: Path) -> None:
    outbox = open_mailer(Settings(_env_file=None, data_dir=tmp_path))
    sent = letter()
    await outbox.send(sent)
    await outbox.send(sent)
    (file,) = (tmp_path / "outbox").iterdir()
    assert file.suffix == ".eml"
    assert file.stat().st_mode & 0o777 == 0o600
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert message["To"] == sent.to
    assert message["Subject"] == sent.subject
    assert message.get_content().replace("\r\n", "\n") == sent.text
    assert isinstance(outbox, OutboxMailer)


async def test_smtp_carries_the_letter_whole() -> None:
    sent = letter()
    async with SmtpServer() as server:
        await mailer(server).send(sent)
    (raw,) = server.letters
    message = message_from_bytes(
        raw.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."), policy=default
    )
    assert message["From"] == SENDER
    assert message["Message-ID"] == f"<{sent.id}@encore.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n") == sent.text


async def test_a_password_goes_only_over_tls(tmp_path: Path) -> None:
    server_tls, client_tls = loopback_tls(tmp_path)
    async with SmtpServer(tls=server_tls) as server:
        with_password = replace(mailer(server), user="u", password="geheim", tls=client_tls)
        await with_password.send(letter())
    assert server.encrypted
    assert server.passwords == ["geheim"]
    assert len(server.letters) == 1
    async with SmtpServer() as plain:
        with pytest.raises(MailUnavailable, match="no TLS"):
            await replace(with_password, port=plain.port).send(letter())
    assert plain.passwords == []


async def test_an_unknown_certificate_gets_nothing(tmp_path: Path) -> None:
    server_tls, _ = loopback_tls(tmp_path)
    async with SmtpServer(tls=server_tls) as server:
        with pytest.raises(MailUnavailable, match="SSLCertVerificationError"):
            await replace(mailer(server), user="u", password="geheim").send(letter())
    assert (server.passwords, server.letters) == ([], [])


@pytest.mark.parametrize(
    ("refuse", "error"),
    [
        ({"RCPT": "550 no such user"}, MailRefused),
        ({"RCPT": "450 try later"}, MailUnavailable),
        ({"MAIL": "552 too much"}, MailRefused),
        ({"DATA": "451 disk"}, MailUnavailable),
        ({"EHLO": "421 busy", "HELO": "421 busy"}, MailUnavailable),
    ],
)
async def test_a_refusal_is_final_or_not(
    refuse: dict[str, str], error: type[MailRefused] | type[MailUnavailable]
) -> None:
    async with SmtpServer(refuse=refuse) as server:
        with pytest.raises(error) as raised:
            await mailer(server).send(letter())
    assert "ada" not in str(raised.value)


async def test_a_dead_server_is_worth_another_attempt() -> None:
    with pytest.raises(MailUnavailable, match="ConnectionRefusedError"):
        await SmtpMailer("127.0.0.1", free_port(), SENDER).send(letter())


def opened(url: str) -> object:
    return open_mailer(Settings(_env_file=None, mail_url=url))


def test_the_url_names_server_user_and_password() -> None:
    assert opened("smtp://a%40b:p%2Fw@mail.example") == SmtpMailer(
        "mail.example", 587, "Encore <no-reply@localhost>", "a@b", "p/w"
    )
    assert opened("smtps://mail.example") == SmtpMailer(
        "mail.example", 465, "Encore <no-reply@localhost>", implicit_tls=True
    )


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "mail.example"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(MailUrlInvalid):
        opened(url)


async def waiting(raw: asyncpg.Connection, address: str) -> dict[str, str]:
    """The payload of the one job that has a letter for `address`."""
    payloads = [
        json.loads(row["payload"])
        for row in await raw.fetch("select payload from pgqueuer where entrypoint = $1", SEND_JOB)
    ]
    (payload,) = [p for p in payloads if p["to"] == address]
    return dict(payload)


async def rows_with(raw: asyncpg.Connection, text: str) -> int:
    """Rows of the queue and its log with `text` in any column."""
    count = 0
    for table in ("pgqueuer", "pgqueuer_log"):
        query = (
            f"select count(*) from {table} q where strpos(q::text, $1) + strpos(q::text, $2) > 0"
        )
        # A bytea is written in hexadecimal.
        count += await raw.fetchval(query, text, text.encode().hex())
    return count


async def test_a_letter_is_a_job_of_the_transaction(
    database: Database, raw: asyncpg.Connection
) -> None:
    address = f"{uuid7().hex}@example.org"
    async with database.transaction() as session:
        await send_mail(
            session, secret=SECRET, to=address, subject="a\r\nBcc: b@example.org", text="t"
        )
    letter = Letter.from_payload(await waiting(raw, address), SECRET)
    assert (letter.to, letter.subject, letter.text) == (address, "a Bcc: b@example.org", "t")


async def test_no_link_is_readable_in_the_queue(
    database: Database, raw: asyncpg.Connection, tmp_path: Path
) -> None:
    """The letters of accounts as the web process sends them, against the tables as they are."""
    address = f"{uuid7().hex}@example.org"
    settings = Settings(_env_file=None, data_dir=tmp_path)
    services = Services(
        settings=settings,
        database=database,
        secret=SECRET,
        store=open_store(settings),
        listener=Listener(database.url, ()),
    )
    async with database.transaction() as session:
        await accounts.register(
            session,
            letters_of(services),
            platform_id=await ensure_default_platform(session),
            email=address,
            password="nine herons over a canal",
            display_name="Ada",
        )
    payload = await waiting(raw, address)
    text = Letter.from_payload(payload, SECRET).text
    token = re.findall(r"em_[\w-]{43}", text)[0]
    assert await rows_with(raw, address) == 1, "what is in clear would be found"
    for clear in (token, token[3:20], "/verify?token="):
        assert await rows_with(raw, clear) == 0, clear
    sealed = base64.b64decode(payload["sealed_text"])
    assert token.encode() not in sealed


def test_a_sealed_letter_opens_for_its_address_and_installation_only() -> None:
    sent = letter()
    payload = sent.to_payload(SECRET)
    assert Letter.from_payload(payload, SECRET) == sent
    assert payload["sealed_text"] != sent.to_payload(SECRET)["sealed_text"]
    readdressed = [payload | {"to": "mallory@example.org"}, payload | {"id": str(uuid7())}]
    for changed in readdressed:
        with pytest.raises(InvalidTag):
            Letter.from_payload(changed, SECRET)
    with pytest.raises(InvalidTag):
        Letter.from_payload(payload, b"another" + SECRET)
