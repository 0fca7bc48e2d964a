"""Parameters: form or JSON to a tree, the tree to a model, and Stripe's words for what is wrong."""

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import ErrorDetails

from payouts.sandbox.refusal import Refusal, invalid

KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
PART = re.compile(r"\[([^\[\]]*)\]")
MAX_KEYS = 1_000


class Params(BaseModel):
    """What an endpoint takes; a parameter that is not named is refused, as Stripe does."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    expand: tuple[str, ...] = ()


class Part(BaseModel):
    """A hash within the parameters."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


def _unset(value: object) -> object:
    return None if value == "" else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _metadata(value: object) -> object:
    return {} if value in ("", None) else value


Text = Annotated[
    Annotated[str, StringConstraints(max_length=5_000)] | None, BeforeValidator(_unset)
]
"""An empty string unsets it."""
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=40)],
        Annotated[str, StringConstraints(max_length=500)],
    ],
    BeforeValidator(_metadata),
    Field(max_length=50),
]
NewMetadata = Annotated[Metadata, Field(default_factory=dict)]
Currency = Annotated[str, BeforeValidator(_lower), StringConstraints(pattern=r"^[a-z]{3}$")]
Positive = Annotated[int, Field(ge=1, le=99_999_999)]
"""An amount in minor units."""


def merged(old: dict[str, str], given: dict[str, str] | None) -> dict[str, str]:
    """Metadata after an update: keys stay unless given, and go when given as an empty string
    (docs.stripe.com/api/metadata)."""
    if given is None:
        return old
    return {key: value for key, value in (old | given).items() if value}


def from_json(text: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(text or b"{}")
    except ValueError as error:
        raise invalid("Invalid request: the body is not JSON.") from error
    if not isinstance(tree, dict):
        raise invalid("Invalid request: the body is not a JSON object.")
    return tree


def from_form(text: str) -> dict[str, Any]:
    """`a[b][0]=c` to `{"a": {"b": ["c"]}}` (Rack's rules; `a[]=c` appends)."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_KEYS)
    except ValueError as error:
        raise invalid("Too many parameters.") from error
    root: dict[str, Any] = {}
    for key, value in pairs:
        matched = KEY.fullmatch(key)
        if matched is None:
            raise invalid(f"Invalid parameter name: {key}")
        _place(root, [matched[1], *PART.findall(matched[2])], value, key)
    return {name: _arrays(value) for name, value in root.items()}


def _place(root: dict[str, Any], parts: list[str], value: str, key: str) -> None:
    node: Any = root
    for part in parts[:-1]:
        node = node.setdefault(part or str(len(node)), {})
        if not isinstance(node, dict):
            raise invalid(f"Invalid parameter: {key}", key)
    node[parts[-1] or str(len(node))] = value


def _arrays(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    below = {key: _arrays(part) for key, part in value.items()}
    if list(below) == [str(index) for index in range(len(below))]:
        return list(below.values())
    return below


def refusal_of(errors: Iterable[ErrorDetails]) -> Refusal:
    """The first thing that is wrong, in Stripe's words; unknown parameters come last."""
    error = min(errors, key=lambda each: each["type"] == "extra_forbidden")
    head, *rest = [str(part) for part in error["loc"]]
    param = head + "".join(f"[{part}]" for part in rest)
    kind = error["type"]
    if kind == "missing":
        return invalid(f"Missing required param: {param}.", param, "parameter_missing")
    if kind == "extra_forbidden":
        return invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")
    if kind.startswith("int_"):
        said = f"Invalid integer: {error['input']}"
        return invalid(said, param, "parameter_invalid_integer")
    return invalid(f"Invalid {param}: {error['msg']}", param)
