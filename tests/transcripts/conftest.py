"""Fixtures that tests of this package share."""

from tests.rooms.conftest import house

__all__ = ["house"]
