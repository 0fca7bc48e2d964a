"""The table of API endpoints: which function answers which method and path."""

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from payouts.sandbox.params import Params, refusal_of
from payouts.sandbox.store import Object
from payouts.sandbox.world import Call

Handler = TypeVar("Handler", bound=Callable[..., Object])


class Nothing(Params):
    """An endpoint without parameters of its own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    pattern: re.Pattern[str]
    answer: Callable[..., Object]
    takes: type[Params]

    def run(self, call: Call, tree: dict[str, Any], ids: dict[str, str]) -> tuple[Object, Params]:
        """Raises Refusal; if the parameters are wrong, before anything is done."""
        params = self.checked(tree)
        return self.answer(call, params, **ids), params

    def checked(self, tree: dict[str, Any]) -> Params:
        try:
            return self.takes.model_validate(tree)
        except ValidationError as error:
            raise refusal_of(error.errors()) from error


ENDPOINTS: list[Endpoint] = []


def endpoint(method: str, path: str) -> Callable[[Handler], Handler]:
    """Registers a function of a call, its parameters, and the ids in the path (`{id}`)."""

    def register(handler: Handler) -> Handler:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
        takes = typing.get_type_hints(handler)["params"]
        ENDPOINTS.append(Endpoint(method, pattern, handler, takes))
        return handler

    return register


def endpoint_of(method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
    """The endpoint and the ids in the path; None for an unknown path or method."""
    for candidate in ENDPOINTS:
        if candidate.method == method and (found := candidate.pattern.fullmatch(path)):
            return candidate, found.groupdict()
    return None
