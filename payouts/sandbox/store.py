"""All state in one SQLite file: Stripe's objects as JSON by id, and what the machinery keeps.

One process writes it, one transaction a request: a kill leaves either all of a request or
nothing of it. Keys that begin with `_` are the sandbox's own and never leave it.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Object = dict[str, Any]
"""As it goes over the wire, with ids in place of the objects that it refers to."""

SCHEMA = """
create table if not exists objects (
  place integer primary key autoincrement,
  id text not null unique,
  kind text not null,
  account text not null,
  body text not null
);
create index if not exists objects_by_kind on objects (kind, account, place);
create table if not exists idempotency (
  account text not null,
  key text not null,
  request text not null,
  status integer not null,
  answer text not null,
  request_id text not null,
  created integer not null,
  primary key (account, key)
);
create table if not exists deliveries (
  place integer primary key autoincrement,
  event text not null,
  endpoint text not null,
  state text not null,
  due real not null,
  attempts integer not null default 0,
  copies integer not null default 1,
  tampering text
);
create index if not exists deliveries_by_state on deliveries (state, due);
create table if not exists timers (
  place integer primary key autoincrement,
  due integer not null,
  account text not null,
  job text not null,
  subject text not null
);
create table if not exists faults (
  place integer primary key autoincrement,
  target text not null,
  rule text not null,
  skip integer not null,
  remaining integer not null
);
create table if not exists state (name text primary key, value text not null);
"""


class Store:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)  # what SQLite puts beside it gets the same mode
        self.sql = sqlite3.connect(path, isolation_level=None)
        self.sql.row_factory = sqlite3.Row
        self.sql.execute("pragma journal_mode = wal")
        self.sql.execute("pragma synchronous = normal")
        self.sql.executescript(SCHEMA)

    def close(self) -> None:
        self.sql.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits at its end, or rolls back on any exception; nested, it joins the outer one."""
        if self.sql.in_transaction:
            yield
            return
        self.sql.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.sql.execute("rollback")
            raise
        self.sql.execute("commit")

    def insert(self, body: Object, *, account: str) -> Object:
        self.sql.execute(
            "insert into objects (id, kind, account, body) values (?, ?, ?, ?)",
            (body["id"], body["object"], account, json.dumps(body)),
        )
        return body

    def put(self, body: Object) -> Object:
        self.sql.execute("update objects set body = ? where id = ?", (json.dumps(body), body["id"]))
        return body

    def delete(self, id: str) -> None:
        self.sql.execute("delete from objects where id = ?", (id,))

    def find(self, id: str, *, account: str | None = None) -> Object | None:
        """Of any account when none is named."""
        row = self.sql.execute(
            "select body from objects where id = ? and account = coalesce(?, account)",
            (id, account),
        ).fetchone()
        return None if row is None else json.loads(row["body"])

    def owner(self, id: str) -> str:
        row = self.sql.execute("select account from objects where id = ?", (id,)).fetchone()
        return str(row["account"])

    def select(
        self,
        kind: str,
        account: str,
        *,
        where: Mapping[str, object] | None = None,
        created: Mapping[str, int] | None = None,
        types: list[str] | None = None,
        after: str | None = None,
        before: str | None = None,
        limit: int = -1,
    ) -> list[Object]:
        """Newest first; with `before`, the `limit` next newer ones, newest first as well."""
        text, values = "select body from objects where kind = ? and account = ?", [kind, account]
        more, given = _conditions(where or {}, created or {}, types or [])
        text, values = text + more, [*values, *given]
        for id, sign in ((after, "<"), (before, ">")):
            if id is not None:
                text += f" and place {sign} (select place from objects where id = ?)"  # noqa: S608
                values.append(id)
        order = "asc" if before is not None else "desc"
        rows = self.sql.execute(f"{text} order by place {order} limit ?", (*values, limit))
        found = [json.loads(row["body"]) for row in rows]
        return found[::-1] if before is not None else found

    def latest(self, kind: str, limit: int) -> list[Object]:
        """Of all accounts, newest first."""
        rows = self.sql.execute(
            "select body from objects where kind = ? order by place desc limit ?", (kind, limit)
        )
        return [json.loads(row["body"]) for row in rows]

    def state(self, name: str) -> str | None:
        row = self.sql.execute("select value from state where name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def set_state(self, name: str, value: str) -> None:
        self.sql.execute(
            "insert into state (name, value) values (?, ?) "
            "on conflict (name) do update set value = excluded.value",
            (name, value),
        )


COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _conditions(
    where: Mapping[str, object], created: Mapping[str, int], types: list[str]
) -> tuple[str, list[Any]]:
    text, values = "", list[Any]()
    for name, value in where.items():
        if value is not None:
            text += " and json_extract(body, ?) = ?"
            values += [f"$.{name}", value]
    for name, moment in created.items():
        text += f" and json_extract(body, '$.created') {COMPARISONS[name]} ?"
        values.append(moment)
    if types:
        text += f" and json_extract(body, '$.type') in ({', '.join('?' * len(types))})"
        values += types
    return text, values
