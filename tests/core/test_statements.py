"""Statements with named values."""

from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import raw_connection
from core.statements import ask


async def test_a_name_may_stand_twice_and_beside_casts(session: AsyncSession) -> None:
    someone = uuid4()
    statement = "select :text::text, (:id::uuid), :text = any(cast(:texts as text[]))"
    values = {"text": "a", "id": someone, "texts": ["a", "b"], "not_asked_for": 1}
    [row] = await ask(await raw_connection(session), statement, values)
    assert tuple(row) == ("a", someone, True)


async def test_all_that_is_named_has_to_be_given(session: AsyncSession) -> None:
    with pytest.raises(KeyError, match="missing"):
        await ask(await raw_connection(session), "select :missing::int", {})
