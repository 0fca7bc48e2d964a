"""The formats of a transcript; ffmpeg reads what another program can."""

import json
from pathlib import Path
from typing import Final

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts import plain, podcasting, srt, webvtt
from transcripts.cues import Piece
from transcripts.merge import MissingSpeech, SpokenCue, merged, turns
from transcripts.words import Span, Word


def piece(start_ms: int, end_ms: int, text: str) -> Piece:
    return Piece(start_ms, end_ms, text, (Word(start_ms, end_ms, text, 0.9),), 0.9)


ROOM: Final = merged(
    {
        "Chiara": [piece(5000, 6500, "È facile!")],
        "Ada": [
            piece(1000, 3000, "Hello, everyone!"),
            piece(3000, 5500, "How does she find\nthe best moments?"),
            piece(3_605_000, 3_606_000, "See you <soon> & safe."),
        ],
    }
)
GAP: Final = MissingSpeech(Span(61_500, 63_000), "Chiara")


def test_speakers_are_merged_on_one_clock_and_overlaps_stay() -> None:
    assert [(cue.id, cue.speaker, cue.start_ms) for cue in ROOM] == [
        ("1", "Ada", 1000),
        ("2", "Ada", 3000),
        ("3", "Chiara", 5000),
        ("4", "Ada", 3_605_000),
    ]
    assert ROOM[1].end_ms > ROOM[2].start_ms
    assert [len(turn) for turn in turns(ROOM)] == [2, 1, 1]


def test_a_turn_ends_where_its_speaker_is_silent_for_long() -> None:
    some = [piece(1000, 2000, "So."), piece(5000, 6000, "And"), piece(9001, 9500, "later.")]
    assert [len(turn) for turn in turns(merged({"Ada": some}))] == [2, 1]
    assert plain.render(merged({"Ada": some})).count("Ada (") == 2


def test_srt_holds_no_times_and_no_commands_of_speakers() -> None:
    text = "{\\an8}so {not this}\n00:00:01,000 --> 00:00:02,000\nwell{\\pos(1,2)}"
    assert srt.render([SpokenCue("1", 1000, 1000, "A-->{\\b1}da", text)]) == (
        "1\n00:00:01,000 --> 00:00:01,001\nA→da: so {not this}\n00:00:01,000 → 00:00:02,000\nwell\n"
    )


def test_srt_has_no_styles_of_speakers() -> None:
    text = '<font size="1">so</font> <<b>i>a < b</i> <soon>'
    assert srt.render([SpokenCue("1", 1000, 2000, "<U>Ada</U>", text)]) == (
        "1\n00:00:01,000 --> 00:00:02,000\nAda: so a < b <soon>\n"
    )


def test_webvtt() -> None:
    text = webvtt.render(ROOM, [GAP])
    assert text.startswith(
        "WEBVTT\n\nNOTE possibly missing: Chiara, 00:01:01.500 to 00:01:03.000\n\n"
        "1\n00:00:01.000 --> 00:00:03.000\n<v Ada>Hello, everyone!</v>\n\n"
    )
    assert text.endswith(
        "4\n01:00:05.000 --> 01:00:06.000\n<v Ada>See you &lt;soon&gt; &amp; safe.</v>\n"
    )


def test_srt_names_a_speaker_where_they_begin() -> None:
    assert srt.render(ROOM) == (
        "1\n00:00:01,000 --> 00:00:03,000\nAda: Hello, everyone!\n\n"
        "2\n00:00:03,000 --> 00:00:05,500\nHow does she find\nthe best moments?\n\n"
        "3\n00:00:05,000 --> 00:00:06,500\nChiara: È facile!\n\n"
        "4\n01:00:05,000 --> 01:00:06,000\nAda: See you <soon> & safe.\n"
    )


def test_plain_text_is_one_paragraph_a_turn() -> None:
    assert plain.render(ROOM, [GAP]) == (
        "Ada (0:00:01)\nHello, everyone! How does she find the best moments?\n\n"
        "Chiara (0:00:05)\nÈ facile!\n\n"
        "Ada (1:00:05)\nSee you <soon> & safe.\n\n"
        "[possibly missing: Chiara, 0:01:01 to 0:01:03]\n"
    )


def test_podcasting_json() -> None:
    assert json.loads(podcasting.render(ROOM[1:3])) == {
        "version": "1.0.0",
        "segments": [
            {
                "speaker": "Ada",
                "startTime": 3.0,
                "endTime": 5.5,
                "body": "How does she find the best moments?",
            },
            {"speaker": "Chiara", "startTime": 5.0, "endTime": 6.5, "body": "È facile!"},
        ],
    }


def test_nothing_said_is_an_empty_transcript() -> None:
    assert webvtt.render([]) == "WEBVTT\n"
    assert srt.render([]) == ""
    assert plain.render([]) == ""
    assert json.loads(podcasting.render([])) == {"version": "1.0.0", "segments": []}


@pytest.mark.parametrize(
    ("name", "text"), [("x.vtt", webvtt.render(ROOM)), ("x.srt", srt.render(ROOM))]
)
def test_ffmpeg_reads_the_same_times(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.subtitles[0]) if p.size]
    times = [(p.pts, p.duration) for p in packets]
    assert times == [(cue.start_ms, cue.end_ms - cue.start_ms) for cue in ROOM]


Names = st.text(max_size=20)
Said = st.text(min_size=1, max_size=60).filter(str.strip)


@given(st.lists(st.tuples(Names, st.integers(0, 10**7), Said), max_size=20))
def test_every_format_has_every_cue(spoken: list[tuple[str, int, str]]) -> None:
    cues = [
        SpokenCue(str(number), at, at + 900, name, text)
        for number, (name, at, text) in enumerate(spoken, 1)
    ]
    assert webvtt.render(cues).count(" --> ") == len(cues)
    assert srt.render(cues).count("-->") == len(cues)
    assert len(json.loads(podcasting.render(cues))["segments"]) == len(cues)
    assert plain.render(cues).count("\n\n") == max(0, len(turns(cues)) - 1)
