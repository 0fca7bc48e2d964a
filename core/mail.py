"""Letters: enqueued by the transaction that causes them and sent by a job; none is lost.

While they wait their text is sealed (AES-256-GCM): it carries links that set
passwords, and whoever reads the database or a backup of it must not get them.

Without `ENCORE_MAIL_URL` they become `.eml` files in `data_dir/outbox`.
"""

import asyncio
import base64
import os
import secrets
import smtplib
import ssl
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncSession

from core.addresses import is_loopback
from core.errors import Problem, Unavailable
from core.ids import uuid7
from core.keys import derive_key
from core.queue import enqueue
from core.settings import Settings

SEND_JOB = "mail.send"
TIMEOUT_SECONDS = 20.0
NONCE_BYTES = 12
PURPOSE = "mail"


class MailUrlInvalid(Problem):
    code = "mail_url_invalid"
    title = "ENCORE_MAIL_URL is neither smtp://user:password@host:port nor smtps://..."


class MailUnavailable(Unavailable):
    """Worth another attempt later."""

    code = "mail_unavailable"
    title = "The mail server does not take the letter now"


class MailRefused(Problem):
    """No attempt will do better: the server refused this letter for good."""

    status = 502
    code = "mail_refused"
    title = "The mail server refused the letter"


@dataclass(frozen=True, slots=True)
class Letter:
    """Plain text to one address. The id makes repeated sends recognizable to the mailbox."""

    id: UUID
    to: str
    subject: str
    text: str

    def to_payload(self, secret: bytes) -> dict[str, Any]:
        """JSON with the text sealed under the installation's `secret`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + _cipher(secret).encrypt(nonce, self.text.encode(), self._envelope)
        text = base64.b64encode(sealed).decode()
        return {"id": str(self.id), "to": self.to, "subject": self.subject, "sealed_text": text}

    @classmethod
    def from_payload(cls, payload: dict[str, Any], secret: bytes) -> Self:
        """Raises cryptography's InvalidTag for another secret, or a letter that was readdressed."""
        letter = cls(UUID(payload["id"]), payload["to"], payload["subject"], text="")
        sealed = base64.b64decode(payload["sealed_text"])
        nonce, encrypted = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        text = _cipher(secret).decrypt(nonce, encrypted, letter._envelope)
        return replace(letter, text=text.decode())

    @property
    def _envelope(self) -> bytes:
        """What the sealed text is bound to."""
        return f"{self.id} {self.to}".encode()

    def message(self, sender: str) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = sender
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{self.id}@{_domain(sender)}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers
        message.set_content(self.text)
        return message


class Mailer(Protocol):
    async def send(self, letter: Letter) -> None:
        """Returns when the letter is in other hands. Raises MailUnavailable, MailRefused."""
        ...


async def send_mail(
    session: AsyncSession, *, secret: bytes, to: str, subject: str, text: str
) -> None:
    """The letter leaves after the commit, or never; line breaks in the subject become blanks.

    `secret` is the installation's, as in the process that sends.
    """
    letter = Letter(uuid7(), to, " ".join(subject.split()), text)
    await enqueue(session, SEND_JOB, letter.to_payload(secret))


@dataclass(frozen=True, slots=True)
class OutboxMailer:
    """Writes each letter as a file, readable by its owner only."""

    folder: Path
    sender: str

    async def send(self, letter: Letter) -> None:
        await asyncio.to_thread(self._write, letter)

    def _write(self, letter: Letter) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{letter.id}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(letter.message(self.sender).as_bytes())
        draft.replace(self.folder / f"{letter.id}.eml")


@dataclass(frozen=True, slots=True)
class SmtpMailer:
    """SMTP with TLS: by STARTTLS (RFC 3207), or from the first byte for `smtps`.

    Only a server on this machine may go without; a password never does.
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    implicit_tls: bool = False
    tls: ssl.SSLContext | None = None

    async def send(self, letter: Letter) -> None:
        await asyncio.to_thread(self._send, letter)

    def _send(self, letter: Letter) -> None:
        try:
            with self._connect() as server:
                server.send_message(letter.message(self.sender))
        except smtplib.SMTPRecipientsRefused as error:
            raise _failure(min(code for code, _ in error.recipients.values())) from error
        except smtplib.SMTPAuthenticationError as error:
            raise MailUnavailable("The mail server refuses our password") from error
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailUnavailable(type(error).__name__) from error

    def _connect(self) -> smtplib.SMTP:
        context = self.tls or ssl.create_default_context()
        if self.implicit_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            self._secure(server, context)
        except BaseException:
            server.close()
            raise
        return server

    def _secure(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        server.ehlo_or_helo_if_needed()
        if not self.implicit_tls and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo_or_helo_if_needed()
        elif not self.implicit_tls and (self.password or not _is_this_machine(self.host)):
            raise MailUnavailable("The mail server offers no TLS")
        if self.password:
            server.login(self.user, self.password)


def open_mailer(settings: Settings) -> Mailer:
    """The mailer that the settings name. Raises MailUrlInvalid."""
    if settings.mail_url is None:
        return OutboxMailer(settings.data_dir / "outbox", settings.mail_from)
    parts = urlsplit(settings.mail_url.get_secret_value())
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise MailUrlInvalid
    implicit_tls = parts.scheme == "smtps"
    return SmtpMailer(
        host=parts.hostname,
        port=parts.port or (465 if implicit_tls else 587),
        sender=settings.mail_from,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        implicit_tls=implicit_tls,
    )


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(derive_key(secret, PURPOSE))


def _failure(code: int) -> Problem:
    """4yz is transient, 5yz is final (RFC 5321, 4.2.1)."""
    words = f"The mail server answered {code}"
    return MailRefused(words) if code >= 500 else MailUnavailable(words)


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].partition("@")[2] or "localhost"


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or is_loopback(host)
