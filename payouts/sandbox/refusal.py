"""Stripe's error envelope (docs.stripe.com/api/errors)."""

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer of the API, not a bug; no Problem of Encore's
    """An answer other than 200. `keep`: what the request did stays done (a declined card)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        told = {"type": type, "code": code, "param": param, "message": message, **more}
        self.error = {name: value for name, value in told.items() if value is not None}

    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def missing(kind: str, id: str, param: str = "id") -> Refusal:
    """No such object, or none of this account."""
    noun = kind.rpartition(".")[2]
    return Refusal(f"No such {noun}: '{id}'", status=404, code="resource_missing", param=param)


def no_access(account: str) -> Refusal:
    """The account was deleted or never connected to this platform."""
    return Refusal(
        f"The provided key does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    return Refusal(message, param=param, code=code)
