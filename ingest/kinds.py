"""Frozen dataclasses as JSON objects that say their `kind`: lines of manifests, journal events."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Kind(Protocol):
    kind: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


Member = TypeVar("Member", bound=Kind)


class Kinds(Generic[Member]):
    """The kinds of one format: what a newer version adds, kinds and members, is passed over."""

    def __init__(self, kinds: Sequence[type[Member]]) -> None:
        self._kinds = {
            cls.kind: (cls, frozenset(field.name for field in fields(cls))) for cls in kinds
        }

    def load(self, kind: str, members: dict[str, Any]) -> Member | None:
        """None for a kind that a newer version wrote."""
        if kind not in self._kinds:
            return None
        cls, names = self._kinds[kind]
        return cls(**{name: value for name, value in members.items() if name in names})


def members(one: Kind) -> dict[str, Any]:
    """Its members by name, not copied: plain values, and lists and dictionaries of them."""
    return {name: getattr(one, name) for name in one.__dataclass_fields__ if name != "kind"}
