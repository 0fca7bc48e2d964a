"""Errors that a caller can act on, rendered as problem details (RFC 9457).

Every error class lives beside the code that raises it; this module holds only the base
class and the few that belong to no domain.
"""

from typing import Any, ClassVar


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A refusal with an HTTP status, a stable machine-readable code and a next step.

    `detail` is shown to the caller: it names what was wrong and what to do, never
    personal data or secrets. `extra` becomes further members of the problem object.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self, detail: str = "", *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The problem object: `type` is a stable URN of the code (RFC 9457, 3.1)."""
        return {
            "type": f"urn:encore:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.extra,
        }


class NotFound(Problem):
    """The thing does not exist, or the caller may not know that it does."""

    status = 404
    code = "not_found"
    title = "Not found"


class Unauthenticated(Problem):
    status = 401
    code = "unauthenticated"
    title = "Sign in first"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"}, **extra)


class Forbidden(Problem):
    status = 403
    code = "forbidden"
    title = "You may not do this"


class Conflict(Problem):
    status = 409
    code = "conflict"
    title = "The current state does not allow this"


class Invalid(Problem):
    status = 422
    code = "invalid"
    title = "The request is not valid"


class TooManyRequests(Problem):
    status = 429
    code = "rate_limited"
    title = "Too many requests"


class Unavailable(Problem):
    status = 503
    code = "unavailable"
    title = "Not available right now"
