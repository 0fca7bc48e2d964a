"""Sign-in at an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, 3.1).

What the browser carries between leaving and coming back (state, nonce, code verifier, where to
go) is one signed cookie of ten minutes, so no table is needed and any web machine may finish.
"""

import functools
import hmac
import secrets
import ssl
import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError

# authlib speaks through httpx2 where that is installed and through httpx elsewhere; their errors
# have no common base, so ours go the way that authlib goes.
from authlib.integrations.httpx_client.oauth2_client import httpx2 as http
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from core.addresses import is_loopback
from core.errors import NotFound, Unauthenticated, Unavailable
from core.keys import derive_key
from core.settings import OidcProvider, Settings

FLOW_SECONDS = 600
METADATA_SECONDS = 3600
TIMEOUT_SECONDS = 10.0
LEEWAY_SECONDS = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures only: `none` and HMAC under the client secret are refused."""

_MALFORMED = (JoseError, ValueError, TypeError, KeyError, AttributeError)


class ProviderUnknown(NotFound):
    code = "oidc_provider_unknown"
    title = "This site has no such sign-in provider"


class ProviderUnavailable(Unavailable):
    code = "oidc_provider_unavailable"
    title = "The sign-in provider does not answer; try again in a moment"


class FlowInvalid(Unauthenticated):
    code = "oidc_flow_invalid"
    title = "This sign-in was not begun in this browser, or too long ago; begin again"


class ProviderRefused(Unauthenticated):
    code = "oidc_refused"
    title = "The sign-in provider did not sign you in"


class IdTokenInvalid(Unauthenticated):
    code = "oidc_id_token_invalid"
    title = "The sign-in provider's answer is not valid"


@dataclass(frozen=True, slots=True)
class Flow:
    """One attempt to sign in, from the first redirect to the callback."""

    provider: str
    state: str
    nonce: str
    verifier: str
    goal: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is; `email` only if it says `email_verified`."""

    issuer: str
    subject: str
    email: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we use of a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    read_at: float


def provider_named(settings: Settings, name: str) -> OidcProvider:
    """Raises ProviderUnknown."""
    for provider in settings.oidc:
        if provider.name == name:
            return provider
    raise ProviderUnknown


def callback_url(settings: Settings, provider: OidcProvider) -> str:
    """What has to be registered at the provider."""
    return f"{settings.public_web_url}/v1/oidc/{provider.name}/callback"


def new_flow(provider: OidcProvider, goal: str) -> Flow:
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Flow(provider.name, state, nonce, verifier, goal)


def seal_flow(secret: bytes, flow: Flow) -> str:
    """The cookie's value."""
    claims = {**asdict(flow), "exp": int(time.time()) + FLOW_SECONDS}
    return jwt.encode({"alg": "HS256"}, claims, _flow_key(secret), ["HS256"])


def open_flow(secret: bytes, sealed: str, *, provider: OidcProvider, state: str) -> Flow:
    """The flow that this browser began at this provider with this state. Raises FlowInvalid."""
    try:
        claims = jwt.decode(sealed, _flow_key(secret), ["HS256"]).claims
        jwt.JWTClaimsRegistry(exp={"essential": True}).validate(claims)
        flow = Flow(**{name: claims[name] for name in Flow.__slots__})
    except _MALFORMED:
        raise FlowInvalid from None
    same_state = hmac.compare_digest(flow.state.encode(), state.encode(errors="replace"))
    if flow.provider != provider.name or not same_state:
        raise FlowInvalid
    return flow


class Providers:
    """Speaks to the providers; remembers their metadata and keys for an hour."""

    def __init__(self) -> None:
        self._metadata: dict[str, Metadata] = {}
        self._keys: dict[str, KeySet] = {}

    async def login_url(self, settings: Settings, provider: OidcProvider, flow: Flow) -> str:
        """Where to send the browser. Raises ProviderUnavailable."""
        metadata = await self._discover(provider)
        async with _client(settings, provider) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(url)

    async def identity(
        self, settings: Settings, provider: OidcProvider, flow: Flow, *, code: str
    ) -> Identity:
        """Redeems `code` and checks the ID token (OpenID Connect Core 1.0, 3.1.3.7).

        Raises ProviderUnavailable, ProviderRefused, IdTokenInvalid.
        """
        metadata = await self._discover(provider)
        token = await _redeem(settings, provider, metadata, flow, code)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise IdTokenInvalid
        claims = await self._verified(metadata, id_token)
        _check_claims(claims, metadata, provider, flow)
        return _identity(claims)

    async def _verified(self, metadata: Metadata, id_token: str) -> dict[str, Any]:
        """Unknown keys are read anew once: providers rotate theirs."""
        for fresh in (False, True):
            keys = await self._key_set(metadata, fresh=fresh)
            try:
                return jwt.decode(id_token, keys, ALGORITHMS).claims
            except _MALFORMED:
                continue
        raise IdTokenInvalid

    async def _key_set(self, metadata: Metadata, *, fresh: bool) -> KeySet:
        known = self._keys.get(metadata.issuer)
        if known is not None and not fresh:
            return known
        document = await _get_json(metadata.jwks_uri)
        try:
            signing = [key for key in document["keys"] if key.get("use", "sig") == "sig"]
            keys = KeySet.import_key_set({"keys": signing})
        except _MALFORMED:
            raise ProviderUnavailable from None
        self._keys[metadata.issuer] = keys
        return keys

    async def _discover(self, provider: OidcProvider) -> Metadata:
        known = self._metadata.get(provider.issuer)
        if known is not None and time.monotonic() - known.read_at < METADATA_SECONDS:
            return known
        issuer = provider.issuer
        document = await _get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise ProviderUnavailable("the provider names another issuer in its discovery")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        endpoints = {name: _safe_url(document.get(name)) for name in names}
        metadata = Metadata(issuer=issuer, read_at=time.monotonic(), **endpoints)
        self._metadata[issuer] = metadata
        self._keys.pop(issuer, None)
        return metadata


def _client(settings: Settings, provider: OidcProvider) -> Any:
    return AsyncOAuth2Client(
        client_id=provider.client_id,
        client_secret=provider.client_secret.get_secret_value(),
        scope="openid email profile",
        redirect_uri=callback_url(settings, provider),
        code_challenge_method="S256",
        timeout=TIMEOUT_SECONDS,
        verify=_authorities(),
        follow_redirects=False,
    )


async def _redeem(
    settings: Settings, provider: OidcProvider, metadata: Metadata, flow: Flow, code: str
) -> dict[str, Any]:
    try:
        async with _client(settings, provider) as client:
            token: dict[str, Any] = await client.fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=flow.verifier,
            )
    except OAuthError:
        raise ProviderRefused from None
    except (http.HTTPError, ValueError):
        raise ProviderUnavailable from None
    return token


def _check_claims(
    claims: dict[str, Any], metadata: Metadata, provider: OidcProvider, flow: Flow
) -> None:
    registry = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": metadata.issuer},
        sub={"essential": True},
        aud={"essential": True, "value": provider.client_id},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": flow.nonce},
    )
    try:
        registry.validate(claims)
    except _MALFORMED:
        raise IdTokenInvalid from None
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else provider.client_id) != provider.client_id:
        raise IdTokenInvalid
    if len(claims["sub"]) > 255 or not claims["sub"].isprintable():
        raise IdTokenInvalid


def _identity(claims: dict[str, Any]) -> Identity:
    """Some providers write `email_verified` as text."""
    email = claims.get("email")
    verified = claims.get("email_verified") in (True, "true")
    name = claims.get("name") or claims.get("preferred_username") or ""
    return Identity(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=email if verified and isinstance(email, str) else None,
        name=str(name),
    )


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Read once a process: meanwhile nobody is answered."""
    context: ssl.SSLContext = http.create_ssl_context()
    return context


async def _get_json(url: str) -> dict[str, Any]:
    try:
        async with http.AsyncClient(timeout=TIMEOUT_SECONDS, verify=_authorities()) as client:
            answer = (await client.get(_safe_url(url))).raise_for_status().json()
    except (http.HTTPError, ValueError):
        raise ProviderUnavailable from None
    if not isinstance(answer, dict):
        raise ProviderUnavailable
    return answer


def _safe_url(url: object) -> str:
    """https, or http on this machine."""
    parts = urlsplit(url if isinstance(url, str) else "")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        return str(url)
    raise ProviderUnavailable("the provider's addresses must be https")


def _is_this_machine(host: str | None) -> bool:
    return host == "localhost" or is_loopback(host or "")


def _flow_key(secret: bytes) -> OctKey:
    return OctKey.import_key(derive_key(secret, "oidc-flow"))
