"""Events as they go over a stream: encoded once, for however many read them (WHATWG HTML 9.2)."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from rooms.models import RoomEvent
from rooms.schemas import EventOut

RETRY: Final = b"retry: 2000\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event. Ephemeral ones have no `seq`."""

    text: bytes
    kind: str
    seq: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def durable_frame(event: RoomEvent) -> Frame:
    body = EventOut.model_validate(event).model_dump_json()
    text = f"id: {event.seq}\nevent: durable\ndata: {body}\n\n"
    return Frame(text.encode(), event.kind, event.seq, event.data)


def ephemeral_frame(kind: str, data: dict[str, Any]) -> Frame:
    body = json.dumps({"kind": kind, "data": data}, separators=(",", ":"))
    return Frame(f"event: ephemeral\ndata: {body}\n\n".encode(), kind)


HEARTBEAT: Final = Frame(b": still here\n\n", "heartbeat")


def bye(reason: str) -> bytes:
    """The last of a stream that we end."""
    return f"event: bye\ndata: {json.dumps({'reason': reason})}\n\n".encode()


def chunk(text: bytes) -> bytes:
    """As one chunk of an HTTP/1.1 body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(text), text)
