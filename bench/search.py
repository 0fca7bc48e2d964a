"""`make bench-search`: a million cues, of which the caller may hear 1 %, 50 % or all.

Each query goes to ours, to SQLite FTS5 and to tantivy in turn. Ours is what a request does
inside the web process: one transaction, words, visibility, ranking, best moments with marks.
Peers, which take longer, get the first of our queries.
"""

import asyncio
import gc
import os
import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.report import Cell, bench_lines, table
from bench.search_archive import Archive, audiences_of, load, speaker_of
from bench.search_corpus import CUES_A_RECORDING, TONGUES, MadeCue, Words, invent, make_cues
from bench.search_peers import Asked, Document, Peer, open_peers
from core.db import Database
from core.postgres import EmbeddedPostgres
from transcripts.query import parse
from transcripts.ranking import Sort
from transcripts.reach import Filters
from transcripts.search import Wanted, search
from transcripts.stemming import Lexemes

CUES: Final = int(os.environ.get("CUES", "1000000"))
QUERIES: Final = 100
PEERS_QUERIES: Final = 30
WARM_UP: Final = 8
"""Of each class and share, so that every statement is prepared on the connection."""

SEED: Final = 7
OURS: Final = "PostgreSQL"

AUDIENCES: Final = {
    "1": ("public",),
    "50": ("public", "first"),
    "100": ("public", "first", "second"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One query for us, and the same for peers."""

    text: str
    asked: Asked
    filters: Filters = Filters()  # noqa: RUF009 - frozen
    sort: Sort = Sort.RELEVANCE
    prefix: bool = False

    def wanted(self) -> Wanted:
        query = parse(self.text, prefix=self.prefix)
        return Wanted(self.text, query, self.filters, self.sort)


class Maker:
    """Queries of each class, by the ranks of their words."""

    def __init__(self, words: list[Words], archive: Archive) -> None:
        self._random = random.Random(SEED)  # noqa: S311 - queries, not secrets
        self._words, self._archive = words, archive
        self._sample = list(make_cues(words, 60, SEED))
        self._functions = {w for tongue in TONGUES for w in tongue.function_words.split()}

    @property
    def classes(self) -> dict[str, Callable[[], Case]]:
        return {
            "common": lambda: self._plain((0, 4)),
            "rare": lambda: self._plain((2_000, 12_000)),
            "and": lambda: self._plain((0, 40), (40, 1_000)),
            "or_common": lambda: self._plain((0, 4), (0, 4), either=True),
            "phrase": self._phrase,
            "prefix": self._prefix,
            "not": self._not,
            "speaker": self._speaker,
            "newest": self._newest,
            "did_you_mean": self._misspelt,
        }

    def _word(self, language: Words, ranks: tuple[int, int]) -> str:
        """One that was said."""
        while True:
            word = self._random.choice(language.forms[self._random.randrange(*ranks)])
            if self._archive.lexemes.get((language.tongue.code, word)) is not None:
                return word

    def _plain(self, *ranks: tuple[int, int], either: bool = False) -> Case:
        language = self._random.choice(self._words)
        words = [self._word(language, one) for one in ranks]
        lexemes = tuple(self._lexeme(language, word) for word in words)
        return Case((" or " if either else " ").join(words), Asked(lexemes, any=either))

    def _lexeme(self, language: Words, word: str) -> str:
        return plain(self._archive.lexemes, language.tongue.code, word) or ""

    def _phrase(self) -> Case:
        """Two words that stand side by side somewhere."""
        while True:
            cue = self._random.choice(self._sample)
            at = self._random.randrange(len(cue.words) - 1)
            pair = cue.words[at : at + 2]
            if not self._functions & set(pair):
                lexemes = [plain(self._archive.lexemes, cue.language, word) or "" for word in pair]
                return Case(f'"{" ".join(pair)}"', Asked(tuple(lexemes), phrase=True))

    def _prefix(self) -> Case:
        language = self._random.choice(self._words)
        begun = self._word(language, (0, 5_000))[:4]
        return Case(begun, Asked((f"{language.tongue.code}{begun}",), prefix=True), prefix=True)

    def _not(self) -> Case:
        language = self._random.choice(self._words)
        wanted, unwanted = self._word(language, (20, 400)), self._word(language, (0, 4))
        asked = Asked((self._lexeme(language, wanted),), (self._lexeme(language, unwanted),))
        return Case(f"{wanted} -{unwanted}", asked)

    def _speaker(self) -> Case:
        language = self._random.choice(self._words)
        word, who = self._word(language, (0, 200)), self._random.randrange(40)
        asked = Asked((self._lexeme(language, word),), speaker=f"s{who}")
        return Case(word, asked, Filters(speaker_id=self._archive.speakers[who]))

    def _newest(self) -> Case:
        """Common and rare in turn: what is fast for one is slow for the other."""
        language = self._random.choice(self._words)
        word = self._word(language, self._random.choice([(0, 4), (2_000, 12_000)]))
        asked = Asked((self._lexeme(language, word),), newest=True)
        return Case(word, asked, sort=Sort.DATE)

    def _misspelt(self) -> Case:
        """Two letters changed places; nobody said that."""
        while True:
            language = self._random.choice(self._words)
            word = self._word(language, (20, 5_000))
            at = self._random.randrange(1, len(word) - 2)
            wrong = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            if (language.tongue.code, wrong) not in self._archive.lexemes and len(word) > 5:
                return Case(wrong, Asked((language.tongue.code + wrong,), fuzzy=True))


def plain(lexemes: Lexemes, language: str, word: str) -> str | None:
    """A lexeme as one word of letters, without the platform."""
    lexeme = lexemes[language, word]
    return lexeme and language + lexeme.partition(".")[2]


Times = dict[tuple[str, str], dict[str, list[float]]]
"""Milliseconds by class and share, by engine."""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="encore-bench-search-"))
    folder.chmod(0o755)  # the server runs under an account of its own
    server = EmbeddedPostgres(folder / "postgres")
    try:
        peers = open_peers(folder)
        times = asyncio.run(run(server.start(), peers))
    finally:
        server.stop()
        shutil.rmtree(folder)
    print(report(times, list(peers)))


async def run(url: str, peers: Mapping[str, Peer]) -> Times:
    words = [invent(tongue, SEED) for tongue in TONGUES]
    archive = await fill(url, words, peers)
    return await measure(url, Maker(words, archive), archive, peers)


async def fill(url: str, words: list[Words], peers: Mapping[str, Peer]) -> Archive:
    recordings = CUES // CUES_A_RECORDING
    audiences = audiences_of(recordings, SEED)
    began = time.monotonic()

    def also(cues: list[MadeCue], lexemes: Lexemes) -> None:
        documents = [document(cue, audiences[cue.recording], lexemes) for cue in cues]
        for peer in peers.values():
            peer.add(documents)

    archive = await load(url, make_cues(words, recordings, SEED), recordings, SEED, also)
    for peer in peers.values():
        peer.finish()
    print(
        f"{CUES:,} cues in {recordings:,} recordings; set up in {time.monotonic() - began:.0f} s.\n"
    )
    return archive


def document(cue: MadeCue, audience: str, lexemes: Lexemes) -> Document:
    text = " ".join(filter(None, (plain(lexemes, cue.language, word) for word in cue.words)))
    return Document(cue.number, text, audience, f"s{speaker_of(cue)}")


async def measure(url: str, maker: Maker, archive: Archive, peers: Mapping[str, Peer]) -> Times:
    times: Times = defaultdict(lambda: defaultdict(list))
    database = Database(url, pool_size=1)
    gc.collect()
    gc.freeze()  # no web process has a corpus of its own for the collector to go through
    for name, make in maker.classes.items():
        for share, principal in archive.callers.items():
            for number in range(WARM_UP + QUERIES):
                case = make()
                took: dict[str, float | None] = {}
                began = time.perf_counter()
                async with database.transaction() as session:
                    await search(session, principal=principal, wanted=case.wanted())
                took[OURS] = time.perf_counter() - began
                for peer, engine in peers.items():
                    if number < WARM_UP + PEERS_QUERIES:
                        took[peer] = timed(engine, case.asked, share)
                for engine_name, seconds in took.items():
                    if number >= WARM_UP and seconds is not None:
                        times[name, share][engine_name].append(seconds * 1000)
    await database.close()
    return times


def timed(engine: Peer, asked: Asked, share: str) -> float | None:
    began = time.perf_counter()
    found = engine.search(asked, AUDIENCES[share])
    return None if found is None else time.perf_counter() - began


def report(times: Times, peers: list[str]) -> str:
    engines = [OURS, *peers]
    columns = ["query", "may hear", *(f"{engine}, ms" for engine in engines)]
    rows: list[list[Cell]] = []
    numbers: dict[str, float] = {}
    for (name, share), by_engine in times.items():
        shown = [_both(by_engine.get(engine)) for engine in engines]
        rows.append([name.replace("_", " "), f"{share} %", *shown])
        ours = _p95(by_engine[OURS])
        numbers[f"search_p95_ms_{name}_{share}"] = ours
        for peer in peers:
            if by_engine.get(peer):
                numbers[f"search_p95_{name}_{share}_vs_{peer}"] = ours / _p95(by_engine[peer])
    return (
        f"p50 / p95 of {QUERIES} queries (peers: {PEERS_QUERIES}), after {WARM_UP} more\n\n"
        f"{table(columns, rows)}\n\n{bench_lines(numbers)}"
    )


def _both(milliseconds: list[float] | None) -> str:
    if not milliseconds:
        return "-"
    return f"{np.percentile(milliseconds, 50):.1f} / {_p95(milliseconds):.1f}"


def _p95(milliseconds: list[float]) -> float:
    return float(np.percentile(milliseconds, 95))


if __name__ == "__main__":
    main()
