"""What everything that asks a Transcriber relies on, of the real engine and of the fake."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.settings import Settings
from tests.transcripts.fakes import ScriptedTranscriber
from tests.transcripts.sounds import SPEECH, silence, spoken
from transcripts.engine_process import EngineProcess
from transcripts.transcriber import Decoding, LanguageUnknown, TooMuchSound, Transcriber

ADA, CHIARA = SPEECH / "01-ada.opus", SPEECH / "05-chiara.opus"
"""English and Italian."""


@pytest.fixture(scope="module")
async def real() -> AsyncIterator[EngineProcess]:
    """Started by the first that asks."""
    async with EngineProcess(Settings(_env_file=None)) as engine:
        yield engine


@pytest.fixture(
    params=[
        pytest.param("real", marks=[pytest.mark.slow, pytest.mark.xdist_group("whisper")]),
        "scripted",
    ]
)
def transcriber(request: pytest.FixtureRequest) -> Transcriber:
    if request.param == "scripted":
        return ScriptedTranscriber()
    real: Transcriber = request.getfixturevalue("real")
    return real


async def test_words_have_their_times(transcriber: Transcriber) -> None:
    pcm = spoken(ADA)
    heard = await transcriber.hear(pcm, Decoding(language="en"))
    words = [word for segment in heard.segments for word in segment.words]
    assert heard.language == "en"
    assert len(words) >= 5
    assert all(0 <= word.start_s <= word.end_s <= len(pcm) / 16_000 + 0.2 for word in words)
    assert [w.start_s for w in words] == sorted(w.start_s for w in words)
    assert all(word.text.strip() and 0 <= word.probability <= 1 for word in words)
    for segment in heard.segments:
        assert "".join(word.text for word in segment.words).strip() == segment.text
        assert segment.average_log_probability <= 0
        assert 0 <= segment.no_speech_probability <= 1
        assert segment.compression_ratio > 0


async def test_the_same_sound_gives_the_same_words(transcriber: Transcriber) -> None:
    pcm, decoding = spoken(ADA), Decoding(language="en", seed=5)
    first = await transcriber.hear(pcm, decoding)
    await transcriber.hear(spoken(CHIARA), Decoding(language="it", seed=6))
    assert await transcriber.hear(pcm, decoding) == first


async def test_languages_come_with_the_likeliest_first(transcriber: Transcriber) -> None:
    found = await transcriber.languages(spoken(ADA))
    probabilities = [probability for _, probability in found]
    assert found[0][0] == "en"
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=0.01)


async def test_a_language_that_is_not_given_is_found(transcriber: Transcriber) -> None:
    heard = await transcriber.hear(spoken(ADA), Decoding())
    assert heard.language == "en"
    assert 0.5 < heard.language_probability <= 1
    assert (await transcriber.caption(spoken(ADA), None)).language == "en"


async def test_a_caption_has_text_and_no_times_of_words(transcriber: Transcriber) -> None:
    heard = await transcriber.caption(spoken(ADA), "en")
    assert [segment.words for segment in heard.segments] == [()]
    assert len(heard.segments[0].text.split()) >= 5


async def test_no_sound_has_no_words(transcriber: Transcriber) -> None:
    nothing = silence(0)
    assert (await transcriber.hear(nothing, Decoding(language="en"))).segments == ()
    assert (await transcriber.caption(nothing, "en")).segments == ()
    assert await transcriber.languages(nothing) == []


async def test_more_than_a_window_is_refused(transcriber: Transcriber) -> None:
    with pytest.raises(TooMuchSound):
        await transcriber.hear(silence(30.1), Decoding(language="en"))
    with pytest.raises(TooMuchSound):
        await transcriber.caption(silence(30.1), "en")


async def test_an_unknown_language_is_refused_and_the_next_question_answered(
    transcriber: Transcriber,
) -> None:
    for language in ("xx", "yue", "english", ""):
        with pytest.raises(LanguageUnknown):
            await transcriber.hear(silence(1), Decoding(language=language))
        with pytest.raises(LanguageUnknown):
            await transcriber.caption(silence(1), language)
    assert (await transcriber.caption(spoken(ADA), "en")).segments


async def test_many_questions_at_once_are_each_answered(transcriber: Transcriber) -> None:
    ada, chiara = await asyncio.gather(
        transcriber.caption(spoken(ADA), "en"), transcriber.caption(spoken(CHIARA), "it")
    )
    assert (ada.language, chiara.language) == ("en", "it")
    assert ada.segments[0].text != chiara.segments[0].text


async def test_it_says_which_weights_heard_it(transcriber: Transcriber) -> None:
    model = await transcriber.ready()
    assert transcriber.model == model
    assert len(bytes.fromhex(model.digest)) == 32
