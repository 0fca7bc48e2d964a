"""HTTP answers of the edge as prebuilt bytes: conditions, ranges, compression, CORS, problems."""

import json
import re
from dataclasses import dataclass
from typing import Final

from core.errors import Problem
from replay.recorded import Document

Headers = list[tuple[bytes, bytes]]

_CORS: Final[Headers] = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Date, ETag, Content-Range, Content-Length, Accept-Ranges, Retry-After",
    ),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
]
_FOREVER: Final = (b"cache-control", b"public, max-age=31536000, immutable")
_LIVE: Final = (b"cache-control", b"public, max-age=1")
_ENDED: Final = (b"cache-control", b"public, max-age=60")
_PLAYLIST: Final = (b"content-type", b"application/vnd.apple.mpegurl")
_MEDIA: Final = (b"content-type", b"audio/mp4")
_RANGE = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
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
    status: int
    headers: Headers
    body: bytes = b""

    def without_body(self) -> "Answer":
        return Answer(self.status, self.headers)


def playlist(document: Document, request: Request, *, ended: bool) -> Answer:
    """200 (gzip where accepted) or 304. The compressed form is another representation: its own
    strong ETag (RFC 9110, 8.8.3.3)."""
    zipped = _accepts_gzip(request.accept_encoding)
    etag = b'"%s%s"' % (document.etag.encode(), b"-gz" if zipped else b"")
    headers = [
        *_CORS,
        _ENDED if ended else _LIVE,
        (b"etag", etag),
        (b"vary", b"Accept-Encoding"),
    ]
    if _matches(request.if_none_match, etag):
        return Answer(304, headers)
    body = document.gzipped if zipped else document.body
    headers += [_PLAYLIST, (b"content-length", b"%d" % len(body))]
    if zipped:
        headers.append((b"content-encoding", b"gzip"))
    return Answer(200, headers, body)


def media_unchanged(request: Request, digest: str) -> Answer | None:
    """304 for a segment whose digest is known, without its bytes."""
    etag = _media_etag(digest)
    if not digest or not _matches(request.if_none_match, etag):
        return None
    return Answer(304, [*_CORS, _FOREVER, (b"etag", etag)])


def media(data: bytes, digest: str, request: Request) -> Answer:
    """200, 206 for a single range, or 416 (RFC 9110, 14). Several ranges get the whole."""
    etag = _media_etag(digest)
    headers = [*_CORS, _FOREVER, (b"etag", etag), (b"accept-ranges", b"bytes")]
    span = None
    if request.range and request.method == "GET" and request.if_range in (b"", etag):
        span = parse_range(request.range, len(data))
    if span is None:
        headers += [_MEDIA, (b"content-length", b"%d" % len(data))]
        return Answer(200, headers, data)
    start, end = span
    if start >= end:
        unsatisfied = (b"content-range", b"bytes */%d" % len(data))
        return problem(RangeNotSatisfiable(), [unsatisfied])
    headers += [
        _MEDIA,
        (b"content-length", b"%d" % (end - start)),
        (b"content-range", b"bytes %d-%d/%d" % (start, end - 1, len(data))),
    ]
    return Answer(206, headers, data[start:end])


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


class MethodNotAllowed(Problem):
    status = 405
    code = "method_not_allowed"
    title = "Only GET, HEAD and OPTIONS are answered here"


def problem(error: Problem, extra: Headers | None = None) -> Answer:
    body = json.dumps(error.body()).encode()
    named = [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
    headers = [
        *_CORS,
        *named,
        *(extra or []),
        (b"cache-control", b"no-store"),
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(error.status, headers, body)


def preflight() -> Answer:
    """CORS: what a player on another origin may ask (Fetch standard, 4.8)."""
    return Answer(
        204,
        [
            *_CORS,
            (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
            (b"access-control-allow-headers", b"Range, If-None-Match, If-Range"),
            (b"access-control-max-age", b"86400"),
            (b"allow", b"GET, HEAD, OPTIONS"),
        ],
    )


def plain(text: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> Answer:
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
    ]
    return Answer(200, headers, text)


def _media_etag(digest: str) -> bytes:
    return b'"%s"' % digest[:32].encode()


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    """Weak comparison over the list (RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    listed = (part.strip().removeprefix(b"W/") for part in if_none_match.split(b","))
    return if_none_match.strip() == b"*" or etag in listed


def _accepts_gzip(accept_encoding: bytes) -> bool:
    for part in accept_encoding.lower().split(b","):
        coding, _, weight = part.partition(b";")
        if coding.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
