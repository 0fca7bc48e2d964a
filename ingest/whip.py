"""WHIP (RFC 9725): where speakers publish. Served by the receiving process itself."""

import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.auth.room_tokens import RoomClaims, RoomTokenInvalid, read_room_token
from core.errors import Problem, Unauthenticated
from core.health import healthz
from core.http import install_problem_handlers
from ingest import sdp, sdp_answer
from ingest.admission import CHANGES, SESSIONS, Admission
from ingest.peer import Peer
from ingest.receiver import NotASpeaker, Receiver, RoomNotHere, SessionNotFound
from ingest.turn import IceServer, links

log = logging.getLogger(__name__)

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"


class WrongContentType(Problem):
    status = 415
    code = "unsupported_media_type"
    title = "The body has another content type than this needs"


class BodyCutOff(Problem):
    status = 400
    code = "body_cut_off"
    title = "The connection ended before the body did"


class IfMatchMissing(Problem):
    status = 428
    code = "if_match_missing"
    title = "Send If-Match: the session's ETag to trickle, * to restart ICE"


class IfMatchFailed(Problem):
    status = 412
    code = "if_match_failed"
    title = "The session's ICE has been restarted since that ETag"


class FragmentUnusable(Problem):
    status = 422
    code = "sdp_fragment_unusable"
    title = "The SDP fragment does not fit the request"


@dataclass(frozen=True, slots=True)
class Whip:
    """What the routes work on. `refresh` reads a room's stage again, bounded in time."""

    receiver: Receiver
    refresh: Callable[[UUID], Awaitable[None]]
    secret: bytes
    public_url: str
    admission: Admission
    ice_servers: Callable[[], list[IceServer]] = list


def _whip(request: Request) -> Whip:
    return cast("Whip", request.app.state.whip)


WhipDep = Annotated[Whip, Depends(_whip)]
router = APIRouter()


@router.options("/whip/{room_id}")
async def describe_endpoint(room_id: UUID) -> Response:
    """What may be posted here; browsers ask before they publish from another origin."""
    return Response(status_code=204, headers={"Accept-Post": SDP, "Allow": "OPTIONS, POST"})


@router.options("/whip/{room_id}/{session_id}")
async def describe_session(room_id: UUID, session_id: str) -> Response:
    headers = {"Accept-Patch": FRAGMENT, "Allow": "OPTIONS, PATCH, DELETE"}
    return Response(status_code=204, headers=headers)


@router.post("/whip/{room_id}", status_code=201)
async def publish(room_id: UUID, request: Request, whip: WhipDep) -> Response:
    """An SDP offer for its answer: 201 with the session's URL (RFC 9725, 4.2).

    Nothing of a body is read before its sender is known to be on stage.
    """
    token = _bearer(request)
    claims = _claims(whip, token)
    if claims.room_id != room_id:
        raise RoomNotHere
    participant_id = _participant(claims)
    whip.admission.admit(request, SESSIONS, participant_id)
    await _must_be_on_stage(whip, room_id, participant_id)
    offer = sdp.parse_offer(await _body(request, SDP))
    peer, local = whip.receiver.open_session(room_id, participant_id, offer, token)
    answer = sdp_answer.answer(
        offer, local, session_id=int.from_bytes(peer.token_sha256[:7], "big")
    )
    headers = {
        "Location": f"{whip.public_url}/whip/{room_id}/{peer.session_id}",
        "ETag": f'"{peer.etag}"',
        "Accept-Patch": FRAGMENT,
    }
    response = Response(answer, 201, headers, SDP)
    for link in links(whip.ice_servers()):
        response.headers.append("Link", link)
    return response


def _claims(whip: Whip, token: str) -> RoomClaims:
    """Refusals are logged: whoever was refused cannot tell that web has another secret."""
    try:
        return read_room_token(whip.secret, token)
    except RoomTokenInvalid:
        log.warning("a room token is not signed by this installation, or is malformed: refused")
        raise


def _participant(claims: RoomClaims) -> UUID:
    """A token of the room alone, without a participant, is a listener's."""
    if claims.participant_id is None:
        raise NotASpeaker
    return claims.participant_id


async def _must_be_on_stage(whip: Whip, room_id: UUID, participant_id: UUID) -> None:
    """The stage is read again before anybody is refused. Raises RoomNotHere, NotASpeaker."""
    room = whip.receiver.rooms.get(room_id)
    if room is None or not room.may_speak(participant_id):
        await whip.refresh(room_id)
    if not whip.receiver.room(room_id).may_speak(participant_id):
        raise NotASpeaker


@router.patch("/whip/{room_id}/{session_id}")
async def patch(room_id: UUID, session_id: str, request: Request, whip: WhipDep) -> Response:
    """Trickled candidates (204) or an ICE restart (200), told apart by If-Match (4.3)."""
    peer = _own_session(whip, room_id, session_id, request)
    fragment = sdp.parse_fragment(await _body(request, FRAGMENT))
    condition = request.headers.get("if-match")
    if condition is None:
        raise IfMatchMissing
    known = {c.remote_ufrag for c in (peer.credentials, peer.restarting) if c is not None}
    if condition.strip() == "*" and fragment.ufrag not in known:
        return _restart(whip, peer, fragment)
    if condition.strip() != "*" and f'"{peer.etag}"' not in _tags(condition):
        raise IfMatchFailed(headers={"ETag": f'"{peer.etag}"'})
    if fragment.ufrag is not None and fragment.ufrag not in known:
        raise FragmentUnusable("New ICE credentials are an ICE restart: send If-Match: *.")
    # We never send checks, so the client's candidates are not needed: its checks show them.
    return Response(status_code=204)


def _restart(whip: Whip, peer: Peer, fragment: sdp.Fragment) -> Response:
    if fragment.ufrag is None or fragment.password is None:
        raise FragmentUnusable("An ICE restart names a=ice-ufrag and a=ice-pwd.")
    local = whip.receiver.restart_ice(peer, fragment.ufrag)
    body = sdp_answer.restart_fragment(peer.mid, peer.payload_type, local)
    return Response(body, 200, {"ETag": f'"{peer.etag}"'}, FRAGMENT)


def _tags(condition: str) -> list[str]:
    return [tag.strip() for tag in condition.split(",")]


@router.delete("/whip/{room_id}/{session_id}")
async def end(room_id: UUID, session_id: str, request: Request, whip: WhipDep) -> Response:
    """Ends the session at once (4.2)."""
    whip.receiver.end_session(_own_session(whip, room_id, session_id, request))
    return Response(status_code=200)


def _own_session(whip: Whip, room_id: UUID, session_id: str, request: Request) -> Peer:
    """The session, for whoever opened it: by that token even after its end, or by a newer one."""
    token = _bearer(request)
    peer = whip.receiver.endpoint.peer(session_id)
    digest = sha256(token.encode(errors="replace")).digest()
    if peer is not None and hmac.compare_digest(digest, peer.token_sha256):
        whip.admission.admit(request, CHANGES, peer.participant_id)
        return whip.receiver.session(room_id, session_id)
    claims = _claims(whip, token)
    participant_id = _participant(claims)
    whip.admission.admit(request, CHANGES, participant_id)
    found = whip.receiver.session(room_id, session_id)
    if claims.room_id != room_id or participant_id != found.participant_id:
        raise SessionNotFound
    return found


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the room token as Authorization: Bearer ...")
    return token.strip()


async def _body(request: Request, content_type: str) -> str:
    """Raises WrongContentType, BodyCutOff, and OfferTooLarge before more than that is read."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != content_type:
        raise WrongContentType(f"Send the body as {content_type}.")
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        sdp.check_size(int(length[:20]))
    body = bytearray()
    try:
        async for chunk in request.stream():
            sdp.check_size(len(body) + len(chunk))
            body += chunk
    except ClientDisconnect:
        raise BodyCutOff from None
    return sdp.decode(bytes(body))


class AnyOrigin:
    """CORS for a protocol whose only credential is a bearer token: every page may publish."""

    _HEADERS: Final = [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"OPTIONS, POST, PATCH, DELETE"),
        (b"access-control-allow-headers", b"authorization, content-type, if-match"),
        (b"access-control-expose-headers", b"location, etag, link, accept-patch, retry-after"),
        (b"access-control-max-age", b"600"),
        (b"cache-control", b"no-store"),
    ]

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_whip_app(whip: Whip) -> FastAPI:
    app = FastAPI(title="Encore WHIP", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.whip = whip
    app.add_middleware(AnyOrigin)
    app.include_router(router)
    app.get("/healthz", include_in_schema=False)(healthz)
    install_problem_handlers(app)
    return app
