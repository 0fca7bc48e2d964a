"""HTTP answers of the edge as prebuilt bytes: conditions, ranges, compression, CORS, problems."""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from core.errors import Problem
from replay.recorded import LONGEST_PART, Document, Place

_CORS: Final = (
    b"access-control-allow-origin: *\r\n"
    b"access-control-expose-headers: "
    b"Date, ETag, Content-Range, Content-Length, Accept-Ranges, Retry-After\r\n"
    b"cross-origin-resource-policy: cross-origin\r\n"
    b"x-content-type-options: nosniff\r\n"
)
_FOREVER: Final = b"cache-control: public, max-age=31536000, immutable\r\n"
_LIVE: Final = b"cache-control: public, max-age=1\r\nvary: Accept-Encoding\r\n"
_ENDED: Final = b"cache-control: public, max-age=60\r\nvary: Accept-Encoding\r\n"
_BRIEF: Final = b"cache-control: public, max-age=5\r\n"
_WEBVTT: Final = b"content-type: text/vtt; charset=utf-8\r\n"
_NO_STORE: Final = b"cache-control: no-store\r\n"
_PLAYLIST: Final = b"content-type: application/vnd.apple.mpegurl\r\n"
_GZIPPED: Final = b"content-encoding: gzip\r\n"
_SEGMENT: Final = _CORS + _FOREVER + b"accept-ranges: bytes\r\ncontent-type: audio/mp4\r\n"
_STATUS: Final = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_QVALUE = re.compile(rb"[01](\.\d{0,3})?")
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(slots=True)
class Request:
    """What the edge looks at. Header values as they came; empty where absent."""

    method: str
    path: str
    query: bytes = b""
    accept_encoding: bytes = b""
    if_none_match: bytes = b""
    range: bytes = b""
    if_range: bytes = b""
    authorization: bytes = b""
    forwarded: bytes = b""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`head` is the status line and our fields, without Date, Connection and the empty line."""

    status: int
    head: bytes
    body: bytes = b""

    @classmethod
    def of(cls, status: int, fields: bytes, body: bytes = b"") -> "Answer":
        """`fields` are whole lines, CRLF included; Content-Length comes from the body."""
        return cls(
            status, b"%scontent-length: %d\r\n" % (_STATUS[status] + fields, len(body)), body
        )

    @classmethod
    def bodiless(cls, status: int, fields: bytes) -> "Answer":
        """204 and 304, which have no Content-Length either (RFC 9110, 8.6)."""
        return cls(status, _STATUS[status] + fields)

    def without_body(self) -> "Answer":
        return Answer(self.status, self.head)


def playlist(document: Document, request: Request, *, ended: bool) -> Answer:
    """200 (gzip where accepted) or 304. The compressed form is another representation: its own
    strong ETag (RFC 9110, 8.8.3.3)."""
    zipped = _accepts_gzip(request.accept_encoding)
    etag = document.etag_gzipped if zipped else document.etag
    fields = b"%setag: %s\r\n" % (_CORS + (_ENDED if ended else _LIVE), etag)
    if _matches(request.if_none_match, etag):
        return Answer.bodiless(304, fields)
    if zipped:
        return Answer.of(200, fields + _PLAYLIST + _GZIPPED, document.gzipped)
    return Answer.of(200, fields + _PLAYLIST, document.body)


def captions(text: bytes, request: Request) -> Answer:
    """200 or 304. Kept for a moment only: somebody may take their consent back, and the final
    transcript takes the place of what was understood at once."""
    etag = b'"%s"' % hashlib.sha256(text).hexdigest()[:24].encode()
    fields = b"%setag: %s\r\n" % (_CORS + _BRIEF, etag)
    if _matches(request.if_none_match, etag):
        return Answer.bodiless(304, fields)
    return Answer.of(200, fields + _WEBVTT, text)


def media_unchanged(request: Request, digest: str) -> Answer | None:
    """304 for a segment whose digest is known, without its bytes."""
    if not digest or not request.if_none_match:
        return None
    etag = _media_etag(digest)
    if not _matches(request.if_none_match, etag):
        return None
    return Answer.bodiless(304, b"%setag: %s\r\n" % (_CORS + _FOREVER, etag))


def media(data: bytes, digest: str, request: Request) -> Answer:
    """200, 206 for a single range, or 416 (RFC 9110, 14). Several ranges get the whole."""
    etag = _media_etag(digest)
    fields = b"%setag: %s\r\n" % (_SEGMENT, etag)
    span = None
    if request.range and request.method == "GET" and request.if_range in (b"", etag):
        span = parse_range(request.range, len(data))
    if span is None:
        return Answer.of(200, fields, data)
    start, end = span
    if start >= end:
        return problem(RangeNotSatisfiable(headers={"Content-Range": f"bytes */{len(data)}"}))
    fields += b"content-range: bytes %d-%d/%d\r\n" % (start, end - 1, len(data))
    return Answer.of(206, fields, data[start:end])


def part_of(whole: Place, request: Request) -> Place:
    """What one answer carries of a large object: the asked range, or as much of it as is sent
    at once (RFC 9110, 15.3.7); without a range all of it, if that is not too much.

    Raises RangeNotSatisfiable, RangeNeeded.
    """
    asked = _asked(whole.size, whole.digest, request)
    if asked is None and whole.size > LONGEST_PART:
        raise RangeNeeded(headers={"Content-Range": f"bytes */{whole.size}"})
    start, end = asked or (0, whole.size)
    if start >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{whole.size}"})
    return replace(whole, start=start, size=min(end - start, LONGEST_PART), part_of=whole.size)


def part(data: bytes, place: Place, request: Request) -> Answer:
    """200 or 206 with the bytes of what `part_of` gave."""
    fields = b"%setag: %s\r\n" % (_SEGMENT, _media_etag(place.digest))
    if _asked(place.part_of, place.digest, request) is None:
        return Answer.of(200, fields, data)
    last = place.start + place.size - 1
    fields += b"content-range: bytes %d-%d/%d\r\n" % (place.start, last, place.part_of)
    return Answer.of(206, fields, data)


def _asked(size: int, digest: str, request: Request) -> tuple[int, int] | None:
    if not request.range or request.if_range not in (b"", _media_etag(digest)):
        return None
    return parse_range(request.range, size)


def parse_range(value: bytes, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of a single byte range; start >= end if nothing of it exists.

    None for what is to be ignored: another unit, several ranges, bad syntax.
    """
    match = _RANGE.fullmatch(value.strip())
    if match is None or match.groups() == (b"", b""):
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


class RangeNotSatisfiable(Problem):
    status = 416
    code = "range_not_satisfiable"
    title = "The range lies outside of the file"


class RangeNeeded(Problem):
    status = 416
    code = "range_needed"
    title = "The file is too large for one answer; ask for ranges of it"


class MethodNotAllowed(Problem):
    status = 405
    code = "method_not_allowed"
    title = "Only GET, HEAD and OPTIONS are answered here"


def problem(error: Problem) -> Answer:
    body = json.dumps(error.body()).encode()
    named = "".join(f"{name.lower()}: {value}\r\n" for name, value in error.headers.items())
    kind = b"content-type: application/problem+json\r\n"
    return Answer.of(error.status, _CORS + named.encode() + _NO_STORE + kind, body)


def preflight() -> Answer:
    """CORS: what a player on another origin may ask (Fetch standard, 4.8)."""
    return Answer.bodiless(
        204,
        _CORS + b"access-control-allow-methods: GET, HEAD, OPTIONS\r\n"
        b"access-control-allow-headers: Range, If-None-Match, If-Range\r\n"
        b"access-control-max-age: 86400\r\n"
        b"allow: GET, HEAD, OPTIONS\r\n",
    )


def plain(text: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> Answer:
    return Answer.of(200, b"content-type: %s\r\n%s" % (content_type, _NO_STORE), text)


def _media_etag(digest: str) -> bytes:
    return b'"%s"' % digest[:32].encode()


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    """Weak comparison over the list (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    listed = (part.strip().removeprefix(b"W/") for part in if_none_match.split(b","))
    return if_none_match.strip() == b"*" or etag in listed


@functools.lru_cache(maxsize=256)
def _accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether gzip may be sent (RFC 9110, 12.5.3); the field of a request is asked again and again.

    What is said of gzip itself counts more than what `*` says.
    """
    weights = dict(_weights(accept_encoding.lower()))
    return weights.get(b"gzip", weights.get(b"x-gzip", weights.get(b"*", 0.0))) > 0


def _weights(accept_encoding: bytes) -> Iterator[tuple[bytes, float]]:
    for part in accept_encoding.split(b","):
        coding, _, parameter = part.partition(b";")
        name, _, value = parameter.replace(b" ", b"").partition(b"=")
        weight = _QVALUE.fullmatch(value) if name == b"q" else None
        yield coding.strip(), float(weight[0]) if weight else 1.0
