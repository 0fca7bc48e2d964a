"""SQL with named values on asyncpg alone, for what is asked often: through SQLAlchemy a statement
costs four times as much Python."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import asyncpg

_NAME: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")


async def ask(
    connection: asyncpg.Connection, statement: str, values: Mapping[str, Any]
) -> list[asyncpg.Record]:
    """`:name` stands for `values["name"]`, of which there may be more."""
    sql, names = _numbered(statement)
    rows: list[asyncpg.Record] = await connection.fetch(sql, *(values[name] for name in names))
    return rows


@lru_cache(maxsize=512)
def _numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """With `$1` for the first of the names."""
    names = tuple(dict.fromkeys(_NAME.findall(statement)))
    return _NAME.sub(lambda match: f"${names.index(match[1]) + 1}", statement), names
