"""A tiny SMTP server (RFC 5321, with STARTTLS and AUTH PLAIN) that keeps what it is given."""

import asyncio
import base64
import ssl
from dataclasses import dataclass, field


@dataclass
class SmtpServer:
    """Answers on loopback; `refuse` maps a verb to the answer that replaces the good one."""

    tls: ssl.SSLContext | None = None
    refuse: dict[str, str] = field(default_factory=dict)
    letters: list[bytes] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    encrypted: bool = False
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> "SmtpServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 test\r\n")
            while line := await reader.readline():
                if not await self._answer(line.decode().strip(), reader, writer):
                    break
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb in self.refuse:
            writer.write(f"{self.refuse[verb]}\r\n".encode())
        elif verb == "EHLO":
            writer.write(self._extensions())
        elif verb == "STARTTLS":
            assert self.tls is not None
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(self.tls)
            self.encrypted = True
        elif verb == "AUTH":
            self.passwords.append(base64.b64decode(line.split(" ")[2]).split(b"\0")[2].decode())
            writer.write(b"235 ok\r\n")
        elif verb == "DATA":
            await self._take(reader, writer)
        else:
            writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
        await writer.drain()
        return verb != "QUIT"

    def _extensions(self) -> bytes:
        offer_tls = b"250-STARTTLS\r\n" if self.tls is not None and not self.encrypted else b""
        return b"250-test\r\n" + offer_tls + b"250 AUTH PLAIN\r\n"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"354 go on\r\n")
        self.letters.append(await reader.readuntil(b"\r\n.\r\n"))
        writer.write(b"250 taken\r\n")
