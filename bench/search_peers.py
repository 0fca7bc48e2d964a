"""SQLite FTS5 and tantivy over the same lexemes, each used as its manual says.

They get stems without stop words as plain words, the audience and the speaker as indexed fields,
and answer with the twenty best cues, marked. Ours also groups by recording and counts.
"""

import importlib
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

TOP: Final = 20


@dataclass(frozen=True, slots=True)
class Document:
    number: int
    """Rises with time."""

    text: str
    audience: str
    speaker: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Of lexemes as peers know them. All `wanted`, or any; side by side; none of `unwanted`."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    any: bool = False
    phrase: bool = False
    prefix: bool = False
    fuzzy: bool = False
    newest: bool = False
    speaker: str = ""


class Peer(Protocol):
    def add(self, documents: Sequence[Document]) -> None: ...

    def finish(self) -> None: ...

    def search(self, asked: Asked, audiences: Sequence[str]) -> int | None:
        """How many of the twenty best there were; None for what it cannot do."""
        ...


class Fts5:
    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "fts5.db", isolation_level=None)
        self._db.execute("pragma journal_mode = off")
        self._db.execute("pragma cache_size = -262144")
        self._db.execute("create virtual table cue using fts5(text, audience, speaker)")
        self._db.execute("begin")

    def add(self, documents: Sequence[Document]) -> None:
        rows = ((d.number, d.text, d.audience, d.speaker) for d in documents)
        self._db.executemany(
            "insert into cue (rowid, text, audience, speaker) values (?, ?, ?, ?)", rows
        )

    def finish(self) -> None:
        self._db.execute("commit")
        self._db.execute("insert into cue (cue) values ('optimize')")

    def search(self, asked: Asked, audiences: Sequence[str]) -> int | None:
        if asked.fuzzy:
            return None
        order = "rowid desc" if asked.newest else "rank"
        query = "select rowid, highlight(cue, 0, '[', ']') from cue where cue match ? order by "
        bound = (self._match(asked, audiences), TOP)
        return len(self._db.execute(f"{query}{order} limit ?", bound).fetchall())

    def _match(self, asked: Asked, audiences: Sequence[str]) -> str:
        words = " ".join(asked.wanted)
        if asked.phrase:
            words = f'"{words}"'
        elif asked.prefix:
            words += "*"
        else:
            words = (" OR " if asked.any else " AND ").join(asked.wanted)
        match = f"text:({words})"
        for unwanted in asked.unwanted:
            match = f"({match}) NOT text:{unwanted}"
        if asked.speaker:
            match = f"({match}) AND speaker:{asked.speaker}"
        return f"({match}) AND audience:({' OR '.join(audiences)})"


class Tantivy:
    def __init__(self, folder: Path, tantivy: Any) -> None:
        self._t = tantivy
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", stored=True, tokenizer_name="whitespace")
        for name in ("audience", "speaker"):
            builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
        builder.add_integer_field("number", stored=True, fast=True)
        (folder / "tantivy").mkdir()
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder / "tantivy"))
        self._writer = self._index.writer(heap_size=256 << 20, num_threads=1)

    def add(self, documents: Sequence[Document]) -> None:
        for d in documents:
            self._writer.add_document(
                self._t.Document(
                    text=d.text, audience=d.audience, speaker=d.speaker, number=d.number
                )
            )

    def finish(self) -> None:
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, asked: Asked, audiences: Sequence[str]) -> int | None:
        words = self._words(asked)
        query = self._t.Query.boolean_query(
            [
                (self._t.Occur.Must, words),
                (self._t.Occur.Must, self._either("audience", audiences)),
                *((self._t.Occur.MustNot, self._term("text", word)) for word in asked.unwanted),
                *(
                    [(self._t.Occur.Must, self._term("speaker", asked.speaker))]
                    * bool(asked.speaker)
                ),
            ]
        )
        order = {"order_by_field": "number"} if asked.newest else {}
        hits = self._searcher.search(query, TOP, count=False, **order).hits
        snippets = self._t.SnippetGenerator.create(self._searcher, words, self._schema, "text")
        for _, address in hits:
            snippets.snippet_from_doc(self._searcher.doc(address)).to_html()
        return len(hits)

    def _words(self, asked: Asked) -> Any:
        if asked.phrase:
            return self._t.Query.phrase_query(self._schema, "text", list(asked.wanted))
        if asked.prefix:
            return self._t.Query.regex_query(self._schema, "text", asked.wanted[0] + ".*")
        if asked.fuzzy:
            return self._t.Query.fuzzy_term_query(self._schema, "text", asked.wanted[0], distance=2)
        if asked.any:
            return self._either("text", asked.wanted)
        occurring = [(self._t.Occur.Must, self._term("text", word)) for word in asked.wanted]
        return self._t.Query.boolean_query(occurring)

    def _either(self, field: str, values: Sequence[str]) -> Any:
        terms = [(self._t.Occur.Should, self._term(field, value)) for value in values]
        return self._t.Query.boolean_query(terms)

    def _term(self, field: str, value: str) -> Any:
        return self._t.Query.term_query(self._schema, field, value)


def open_peers(folder: Path) -> dict[str, Peer]:
    """Those that are here or can be installed; says which is missing."""
    peers: dict[str, Peer] = {"fts5": Fts5(folder)}
    tantivy = _tantivy(folder / "site")
    if tantivy is None:
        print("tantivy is not here and cannot be installed: it is left out.")
    else:
        peers["tantivy"] = Tantivy(folder, tantivy)
    return peers


def _tantivy(site: Path) -> Any:
    for install in (False, True):
        if install:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--target",
                str(site),
                "tantivy",
            ]
            subprocess.run(command, check=False)
            sys.path.append(str(site))
            importlib.invalidate_caches()
        try:
            return importlib.import_module("tantivy")
        except ImportError:
            continue
    return None
