"""Every test here takes the arena, and fails if the room's speaker lost a packet meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hostile.arena import EVE, OWN_ADDRESSES, Arena, Knocker, Voice, arena_in


@pytest.fixture
async def arena(tmp_path: Path) -> AsyncIterator[Arena]:
    async with arena_in(tmp_path) as arena:
        yield arena


@pytest.fixture
async def stranger(arena: Arena) -> AsyncIterator[Knocker]:
    """Somebody without a session, at an address of his own."""
    if not OWN_ADDRESSES:
        pytest.skip("loopback has one address here")
    stranger = Knocker(arena.endpoint.port, "127.0.0.66")
    yield stranger
    stranger.socket.close()


@pytest.fixture
async def eve(arena: Arena) -> AsyncIterator[Voice]:
    """On the stage, connected, and hostile."""
    eve = Voice(arena, EVE)
    await eve.connect()
    yield eve
    eve.socket.close()
