"""Which words find which: stems, accents, phrases, operators, and what is marked."""

import pytest

from tests.transcripts.archive import Archive
from transcripts.found import Moment
from transcripts.stemming import MOST_BEGUN


async def only(archive: Archive, text: str) -> Moment:
    found = await archive.find(text)
    ((moment,),) = [one.moments for one in found.recordings]
    return moment


@pytest.mark.parametrize(
    ("language", "said", "asked"),
    [
        ("en", "Nobody [boats] here anymore", "boat"),
        ("it", "Le [città parlano] da sole", "citta parlare"),
        ("fr", "Les [marées] nous [portaient] toujours", "maree porter"),
        ("de", "Die alten [Häuser] stehen noch", "haus"),
        ("es", "Las [canciones] de siempre", "cancion"),
        ("pt", "As [corridas] de ontem", "corrida"),
        ("nl", "Alle [boeken] liggen daar", "boek"),
        ("sv", "Gamla [båtarna] ligger kvar", "båten"),
        ("da", "De gamle [bøger] ligger her", "bøgerne"),
        ("no", "Gamle [husene] ligger her", "huset"),
        ("ru", "Старые [книги] лежат там", "книга"),
        ("pl", "Stare [łodzie] leżą tam", "lodzie"),
        ("ja", "[海]の話です", "海"),
        ("pt-BR", "As [corridas] de ontem", "corrida"),
    ],
)
async def test_words_match_in_their_forms(
    archive: Archive, language: str, said: str, asked: str
) -> None:
    plain = said.replace("[", "").replace("]", "")
    await archive.recording(plain, language=language)
    assert await archive.lines(asked) == {said}
    assert await archive.lines(asked.upper()) == {said}
    assert await archive.lines(asked, language=language) == {said}
    assert await archive.lines(asked, language="tr") == set()


async def test_operators(archive: Archive) -> None:
    for line in ("The red boat left", "A red house stood there", "Some boat is a house"):
        await archive.recording(line)
    assert await archive.lines("red boat") == {"The [red boat] left"}
    assert await archive.lines("red -boat") == {"A [red] house stood there"}
    assert await archive.lines('"boat left" or "house stood"') == {
        "The red [boat left]",
        "A red [house stood] there",
    }
    assert await archive.lines('"red left"') == set()
    assert await archive.lines('house -"red house"') == {"Some boat is a [house]"}


async def test_words_in_two_cues_that_follow_each_other(archive: Archive) -> None:
    await archive.recording("The red one left", "before any boat", "and a red flag")
    assert await archive.lines("red boat") == {
        "The [red] one left before any [boat]",
        "before any [boat] and a [red] flag",
    }
    assert await archive.lines("red -boat") == {"The [red] one left", "and a [red] flag"}


async def test_a_phrase_over_two_cues_of_one_speaker(archive: Archive) -> None:
    room = await archive.room()
    ada, grace = await archive.speaker(room), await archive.speaker(room, "Grace")
    await archive.say(room, ada, ["we sailed the open", "sea at night"])
    await archive.say(room, grace, ["lovely weather"], start_ms=1_600)
    moment = await only(archive, '"open sea"')
    assert [(piece.text, piece.match) for piece in moment.pieces] == [
        ("we sailed the ", False),
        ("open", True),
        (" ", False),
        ("sea", True),
        (" at night", False),
    ]
    assert moment.start_ms == 3 * 400
    found = await archive.find("sea")
    assert found.total is not None
    assert (found.total.recordings, found.total.matches) == (1, 1)
    assert await archive.lines('"open weather"') == set()


async def test_a_moment_is_told_in_one_line(archive: Archive) -> None:
    await archive.recording("the open\nsea was calm")
    assert await archive.lines('"open sea"') == {"the [open sea] was calm"}


async def test_the_last_word_may_be_only_begun(archive: Archive) -> None:
    await archive.recording("Marine biology", "A market", "Running marathons")
    assert await archive.lines("mar") == set()
    assert await archive.lines("mar", prefix=True) == {
        "[Marine] biology",
        "A [market]",
        "Running [marathons]",
    }
    assert await archive.lines("running mara", prefix=True) == {"[Running marathons]"}


async def test_more_may_begin_so_than_can_be_named(archive: Archive) -> None:
    others = [f"mar{chr(97 + at // 26)}{chr(97 + at % 26)}k" for at in range(MOST_BEGUN)]
    await archive.recording("Marine biology", " ".join(others))
    assert "[Marine] biology" in await archive.lines("mar", prefix=True)
    assert await archive.lines("mari", prefix=True) == {"[Marine] biology"}


@pytest.mark.parametrize(
    ("line", "language", "words"),
    [
        ("una conversazione", "it", "conversa conversaz conversazi conversazion conversazione"),
        ("la registrazione", "it", "registra registrazi registrazio"),
        ("they were disappearing", "en", "disappea disappeari disappearin disappearing"),
        ("Running marathons", "en", "runn runni running"),
        ("quite happily", "en", "happi happil happily"),
        ("Entscheidungen sind schwer", "de", "entscheid entscheidu entscheidunge"),
    ],
)
async def test_nothing_is_lost_while_a_word_is_typed_on(
    archive: Archive, line: str, language: str, words: str
) -> None:
    await archive.recording(line, language=language)
    for word in words.split():
        (found,) = await archive.lines(word, prefix=True)
        assert f"[{word}" in found.lower()
    assert await archive.lines(f"{words.split()[0]}x", prefix=True) == set()


async def test_a_sentence_without_spaces_is_one_word(archive: Archive) -> None:
    line = "我们昨天晚上在海边看到了一艘很大的船"
    await archive.recording(line, language="zh")
    assert await archive.lines(line) == {f"[{line}]"}
    assert await archive.lines(f"{line[::-1]}") == set()


async def test_other_words_are_sought_for_three_at_most(archive: Archive) -> None:
    await archive.recording("lighthouse harbour mountain elephant")
    found = await archive.find("lighthuose harbuor mountian elehpant")
    assert found.did_you_mean == "lighthouse harbour mountian elephant"


async def test_stop_words_are_ignored_and_named(archive: Archive) -> None:
    await archive.recording("The sea was calm")
    found = await archive.find("the sea was")
    assert len(found.recordings) == 1
    assert found.ignored == ["the", "was"]
    await archive.recording("La mer était calme", language="fr")
    assert (await archive.find("était the")).ignored == ["etait", "the"]
    assert (await archive.find("sea the")).ignored == ["the"]
    await archive.recording("En the, merci", language="fr")
    assert (await archive.find("the")).ignored == []
    assert (await archive.find("etait", language="fr")).ignored == ["etait"]
