"""What a caller has to be or to have, whichever way the call came."""

from uuid import UUID

from core.auth.principal import Kind, Principal
from core.errors import Forbidden, Unauthenticated


class ScopeMissing(Forbidden):
    code = "scope_missing"
    title = "This needs an API key with another scope"


class AccountNeeded(Forbidden):
    code = "account_needed"
    title = "Only a signed-in person can do this"


def require_scope(principal: Principal, scope: str) -> UUID:
    """The platform of an API key that has `scope`: the gate of endpoints for servers only.

    Raises Unauthenticated for strangers, ScopeMissing for people and for keys without it.
    """
    if principal.kind is Kind.STRANGER:
        raise Unauthenticated("send an API key as Authorization: Bearer ek_...")
    if scope not in key_scopes(principal) or principal.platform_id is None:
        raise ScopeMissing(f"this needs an API key with the scope {scope}", scope=scope)
    return principal.platform_id


def limit_to_scope(principal: Principal, scope: str) -> None:
    """For endpoints that people use too: a key needs `scope`, people are judged by access rules."""
    if principal.kind is Kind.API_KEY:
        require_scope(principal, scope)


def key_scopes(principal: Principal) -> frozenset[str]:
    return principal.scopes if principal.kind is Kind.API_KEY else frozenset()


def require_user(principal: Principal) -> UUID:
    """The user id of somebody signed in with an account.

    Raises Unauthenticated for strangers, AccountNeeded for API keys and room tokens.
    """
    if principal.kind is Kind.STRANGER:
        raise Unauthenticated
    if principal.kind is Kind.ROOM_TOKEN:
        raise AccountNeeded("A room token opens one room. This needs somebody who has signed in.")
    if principal.kind is not Kind.USER or principal.user_id is None:
        raise AccountNeeded
    return principal.user_id
