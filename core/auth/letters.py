"""The mails of accounts. Links carry the token, so their text never reaches a log."""

from functools import partial
from typing import Annotated, Protocol

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from core.http import ServicesDep
from core.mail import send_mail
from core.settings import Settings

VERIFY_PATH = "/verify"
RESET_PATH = "/password-reset"


class SendMail(Protocol):
    """core.mail.send_mail with its secret: queued in the transaction, sent after it."""

    async def __call__(
        self, session: AsyncSession, /, *, to: str, subject: str, text: str
    ) -> None: ...


class Letters:
    """Writes the mails of one installation and hands them to `send`."""

    def __init__(self, settings: Settings, send: SendMail) -> None:
        self._base = settings.public_web_url
        self._send = send

    async def verify(self, session: AsyncSession, *, to: str, token: str) -> None:
        text = (
            "Welcome to Encore.\n\n"
            f"Confirm your address here: {self._base}{VERIFY_PATH}?token={token}\n\n"
            "The link works once, for 24 hours. If you did not make an account, do nothing."
        )
        await self._send(session, to=to, subject="Confirm your address", text=text)

    async def reset(self, session: AsyncSession, *, to: str, token: str) -> None:
        text = (
            "Somebody, perhaps you, asked for a new password.\n\n"
            f"Choose it here: {self._base}{RESET_PATH}?token={token}\n\n"
            "The link works once, for one hour. If it was not you, do nothing."
        )
        await self._send(session, to=to, subject="Choose a new password", text=text)

    async def exists_already(self, session: AsyncSession, *, to: str, token: str) -> None:
        text = (
            "Somebody, perhaps you, wanted to make an Encore account with this address.\n\n"
            "There is one already. If you forgot its password, choose a new one here:\n"
            f"{self._base}{RESET_PATH}?token={token}\n\n"
            "The link works once, for one hour. If it was not you, do nothing."
        )
        await self._send(session, to=to, subject="You have an account already", text=text)

    async def password_changed(self, session: AsyncSession, *, to: str) -> None:
        text = (
            "The password of your Encore account was changed, and every device signed out.\n\n"
            f"If it was not you, choose a new one now: {self._base}{RESET_PATH}"
        )
        await self._send(session, to=to, subject="Your password was changed", text=text)


def letters_of(services: ServicesDep) -> Letters:
    return Letters(services.settings, partial(send_mail, secret=services.secret))


LettersDep = Annotated[Letters, Depends(letters_of)]
