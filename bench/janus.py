"""Janus as the peer: Debian's package, a configuration of its own, loopback only.

One session over a Unix socket (SOCK_SEQPACKET: a message a packet) holds the handles of all
participants, so that signaling costs Janus next to nothing.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.cpu import pin
from bench.ending import stop
from bench.webrtc_client import ConnectFailed, WebRtcClient

PROGRAM: Final = "janus"
SOCKET: Final = "api"
START_ATTEMPTS: Final = 40
SETTLE_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 30.0
MAX_MESSAGE: Final = 1 << 16
INSTALL_SECONDS: Final = 300

AUDIO_BRIDGE: Final = "janus.plugin.audiobridge"
VIDEO_ROOM: Final = "janus.plugin.videoroom"
_FRAME: Final = b"MEET"


class Skipped(Exception):  # noqa: N818 - what happened, as the reader of the report sees it
    """The peer is not here and cannot be installed; the text says why."""


def find_janus() -> str:
    """The program, installed where that can be done. Raises Skipped."""
    if not shutil.which(PROGRAM):
        _install()
    found = shutil.which(PROGRAM)
    if found is None:
        raise Skipped("apt-get has no janus")
    return found


def _install() -> None:
    if sys.platform != "linux" or not shutil.which("apt-get"):
        raise Skipped("janus is not installed, and there is no apt-get")
    if os.geteuid() != 0:
        raise Skipped("janus is not installed, and only root can (apt-get install janus)")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PROGRAM]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], install):
        try:
            subprocess.run(
                command, check=True, capture_output=True, timeout=INSTALL_SECONDS, env=quiet
            )
        except (subprocess.SubprocessError, OSError):
            raise Skipped(f"{' '.join(command)} failed") from None


def own_address() -> str:
    """This machine's address as its Janus offers it: libnice leaves loopback out.

    Packets between two programs here go over loopback all the same.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; RFC 5737: nobody is there
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _configuration(folder: Path) -> dict[str, str]:
    """Files of the configuration folder: two plugins, one transport, no port but RTP's."""
    general = f"""
general: {{
    configs_folder = "{folder}"
    debug_level = 2
    log_to_stdout = true
    session_timeout = 0
    protected_folders = []
}}
plugins: {{
    disable = "libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,\
libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,\
libjanus_videocall.so,libjanus_voicemail.so"
}}
transports: {{
    disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_rabbitmq.so,\
libjanus_websockets.so"
}}
"""
    transport = f"""
general: {{
    enabled = true
    json = "compact"
    path = "{folder / SOCKET}"
    type = "SOCK_SEQPACKET"
}}
"""
    return {"janus.jcfg": general, "janus.transport.pfunix.jcfg": transport}


class Janus:
    """A running server and the one session that everybody of a bench has."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._session = 0

    async def open(self, path: Path) -> None:
        await asyncio.get_running_loop().sock_connect(self._socket, str(path))
        self._reader = asyncio.create_task(self._read())
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]

    def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        self._socket.close()

    async def attach(self, plugin: str) -> int:
        """A handle of the plugin."""
        answer = await self._ask({"janus": "attach", "plugin": plugin})
        return int(answer["data"]["id"])

    async def create_room(self, plugin: str, **settings: object) -> int:
        handle = await self.attach(plugin)
        room = secrets.randbits(31)
        body = {"request": "create", "room": room, "permanent": False, **settings}
        _data(await self._message(handle, body))
        return room

    async def join(self, client: WebRtcClient, plugin: str, body: Mapping[str, object]) -> None:
        """Publishes into a room. Raises ConnectFailed."""
        handle = await self.attach(plugin)
        jsep = {"type": "offer", "sdp": client.offer()}
        answer = await self._message(handle, body, jsep=jsep)
        _data(answer)
        await client.connect(answer["jsep"]["sdp"])

    async def _message(self, handle: int, body: Mapping[str, object], **more: object) -> Any:
        return await self._ask({"janus": "message", "handle_id": handle, "body": body, **more})

    async def _ask(self, message: Mapping[str, object]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        transaction = secrets.token_hex(8)
        answer = self._answers[transaction] = loop.create_future()
        whole = {**message, "transaction": transaction}
        if self._session:
            whole["session_id"] = self._session
        await loop.sock_sendall(self._socket, json.dumps(whole).encode())
        return await asyncio.wait_for(answer, ANSWER_SECONDS)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while message := await loop.sock_recv(self._socket, MAX_MESSAGE):
            event: dict[str, Any] = json.loads(message)
            answer = self._answers.get(event.get("transaction", ""))
            # An acknowledgement goes before the event that answers.
            if answer is not None and event["janus"] != "ack" and not answer.done():
                answer.set_result(event)


def _data(answer: Mapping[str, Any]) -> None:
    """Raises ConnectFailed where Janus or the plugin refused."""
    error = answer.get("error") or answer.get("plugindata", {}).get("data", {}).get("error")
    if error:
        raise ConnectFailed(f"Janus refused: {error}")


@asynccontextmanager
async def running(program: str, folder: Path, cores: set[int]) -> AsyncIterator[Janus]:
    """Janus on `cores`, its files in `folder`, until the block ends."""
    for name, text in _configuration(folder).items():
        (folder / name).write_text(text)
    process = await _start(program, folder)
    pin(process.pid, cores)
    janus = Janus(process.pid)
    try:
        await janus.open(folder / SOCKET)
        yield janus
    finally:
        janus.close()
        await stop(process)


async def _start(program: str, folder: Path) -> asyncio.subprocess.Process:
    """Now and then its transport starts before it is ready and it gives up: then once more."""
    api, attempts = folder / SOCKET, START_ATTEMPTS
    while True:
        with (folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(program, f"--configs-folder={folder}", f"--config={folder / 'janus.jcfg'}"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            # Whoever gives up does so within moments.
            await asyncio.wait_for(process.wait(), SETTLE_SECONDS)
        except TimeoutError:
            if api.exists():
                return process
            await stop(process)
        attempts -= 1
        if not attempts:
            raise Skipped(f"janus does not start: {_tail(folder / 'log')}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-200:]


def count_frames(recording: bytes) -> int:
    """RTP packets in an .mjr file: a header, then frames of MEET, u32 time, u16 size and bytes.

    The header is MJR00002, u16 size and JSON.
    """
    at = 10 + struct.unpack_from("!H", recording, 8)[0]
    count = 0
    while at + 10 <= len(recording) and recording[at : at + 4] == _FRAME:
        at += 10 + struct.unpack_from("!H", recording, at + 8)[0]
        count += at <= len(recording)
    return count
