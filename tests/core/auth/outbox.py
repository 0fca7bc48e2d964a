"""A mailer that keeps what it is given."""

import re
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class Mail:
    to: str
    subject: str
    text: str

    @property
    def token(self) -> str:
        found = re.search(r"token=(em_[\w-]{43})", self.text)
        assert found, self.text
        return found[1]


@dataclass(slots=True)
class Outbox:
    mails: list[Mail] = field(default_factory=list)

    async def __call__(self, _: AsyncSession, /, *, to: str, subject: str, text: str) -> None:
        self.mails.append(Mail(to, subject, text))

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.to == address]
