"""Events as they go over a stream: encoded once, for however many read them (WHATWG HTML 9.2)."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from rooms.events import CAPTION, TIP_SENT
from rooms.models import RoomEvent
from rooms.schemas import EventOut

RETRY: Final = b"retry: 2000\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event. Ephemeral ones have no `seq`. `outside` is what those are told who see the room
    and may not hear it: None for the same, empty for nothing."""

    text: bytes
    kind: str
    seq: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    outside: bytes | None = None

    def told(self, *, hears: bool) -> bytes:
        return self.text if hears or self.outside is None else self.outside


def durable_frame(event: RoomEvent) -> Frame:
    told = EventOut.model_validate(event)
    outside = _durable(told.for_outside()) if event.kind == TIP_SENT else None
    return Frame(_durable(told), event.kind, event.seq, event.data, outside)


def _durable(told: EventOut) -> bytes:
    return f"id: {told.seq}\nevent: durable\ndata: {told.model_dump_json()}\n\n".encode()


def ephemeral_frame(kind: str, data: dict[str, Any]) -> Frame:
    body = json.dumps({"kind": kind, "data": data}, separators=(",", ":"))
    text = f"event: ephemeral\ndata: {body}\n\n".encode()
    return Frame(text, kind, outside=b"" if kind == CAPTION else None)


HEARTBEAT: Final = Frame(b": still here\n\n", "heartbeat")


def bye(reason: str) -> bytes:
    """The last of a stream that we end."""
    return f"event: bye\ndata: {json.dumps({'reason': reason})}\n\n".encode()


def chunk(text: bytes) -> bytes:
    """As one chunk of an HTTP/1.1 body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(text), text)
