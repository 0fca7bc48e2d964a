"""Holds the sandbox's answers against the types that Stripe's library reads them into.

The library makes its objects of any JSON; whoever reads a field that its types promise finds out
later. Here all of them are read. Of a field that may be null the library does not say whether it
may be missing too: Stripe's published schemas do, which only some machines have.
"""

import typing
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Union

from stripe import StripeObject
from stripe._util import convert_to_stripe_object

SCALARS = (int, str, bool, float)


def unreadable(answer: dict[str, Any]) -> list[str]:
    """What the library's types promise and the answer does not keep."""
    return list(_of_object(convert_to_stripe_object(answer), answer.get("object", "")))


def _of_object(read: Any, at: str) -> Iterator[str]:
    if isinstance(read, list):
        for number, each in enumerate(read):
            yield from _of_object(each, f"{at}[{number}]")
        return
    if not isinstance(read, StripeObject):
        return
    fields = read.to_dict(recursive=False)
    for name, hint in _promised(type(read), deleted="deleted" in fields):
        if fields.get(name) is None:
            yield f"{at}.{name}: missing"
        elif not _is(fields[name], hint):
            yield f"{at}.{name}: {fields[name]!r} is no {hint}"
    for name, value in fields.items():
        yield from _of_object(value, f"{at}.{name}")


def _promised(kind: type, *, deleted: bool) -> list[tuple[str, Any]]:
    if deleted:
        return []  # of what is gone only the id is left
    hints = getattr(kind, "__annotations__", {})
    return [
        (name, hint)
        for name, hint in hints.items()
        if typing.get_origin(hint) is not ClassVar
        and type(None) not in typing.get_args(hint)
        and not name.startswith("_")
    ]


def _is(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if typing.get_origin(hint) is Union:
        return any(_is(value, each) for each in typing.get_args(hint))
    if hint in SCALARS:
        return type(value) is hint or (hint is float and type(value) is int)
    return not isinstance(value, SCALARS)
