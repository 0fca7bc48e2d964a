"""Files from disk: each kind is decoded to what it holds, or refused in a line that says why."""

import os
import resource
import sys
import tempfile
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from tests.transcripts.sound_files import beep, write_sound, write_video
from transcripts.file_transcript import Format, speakers, together
from transcripts.files import Decoded, FileRefused, decode
from transcripts.merge import MissingSpeech
from transcripts.pipeline import TrackTranscript
from transcripts.tracks import RoomTrack
from transcripts.transcriber import RATE, Pcm
from transcripts.words import Span, Word


async def decoded(path: Path) -> tuple[Decoded, Pcm]:
    with tempfile.TemporaryFile(buffering=0) as pcm:
        about = decode(path, pcm, lambda *_: None)
        return about, await RoomTrack(pcm, about.samples).read(0, about.samples)


def loudness(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm**2))) if len(pcm) else 0.0


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("narrow.wav", "pcm_s16le", 8_000, "mono"),
        ("studio.flac", "flac", 96_000, "stereo"),
        ("cd.wav", "pcm_s16le", 44_100, "stereo"),
        ("odd.wav", "pcm_s16le", 11_025, "mono"),
        ("song.mp3", "mp3", 44_100, "stereo"),
        ("call.opus", "libopus", 48_000, "mono"),
        ("phone.m4a", "aac", 44_100, "stereo"),
        ("cinema.flac", "flac", 48_000, "5.1"),
    ],
)
async def test_any_rate_and_any_channels(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str
) -> None:
    path = write_sound(tmp_path / name, beep(2), codec=codec, rate=rate, layout=layout)
    about, pcm = await decoded(path)
    assert about.samples / RATE == pytest.approx(2, abs=0.1)
    assert about.damaged == 0
    middle = pcm[RATE // 2 : -RATE // 2]
    crossings = np.count_nonzero(np.diff(np.signbit(middle))) / (len(middle) / RATE)
    assert crossings == pytest.approx(880, rel=0.02)
    assert loudness(middle) > 0.05


async def test_of_a_video_the_sound_is_taken(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "talk.mp4", beep(2), codec="aac", rate=48_000, picture=True)
    about, pcm = await decoded(path)
    assert about.samples / RATE == pytest.approx(2, abs=0.1)
    assert loudness(pcm) > 0.1


async def test_sound_that_begins_late_keeps_its_time(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "late.mkv", beep(2), codec="pcm_s16le", late_s=1.5, picture=True)
    about, pcm = await decoded(path)
    assert about.samples / RATE == pytest.approx(3.5, abs=0.1)
    assert loudness(pcm[: round(1.4 * RATE)]) == 0
    assert loudness(pcm[round(1.6 * RATE) :]) > 0.1


async def test_the_part_of_a_damaged_file_that_can_be_read_is_taken(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "whole.flac", beep(4), codec="flac").read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole[: len(whole) // 2])
    about, pcm = await decoded(cut)
    assert 0.5 < about.samples / RATE < 4
    assert about.damaged
    assert loudness(pcm) > 0.1


def refused(path: Path) -> str:
    with (
        tempfile.TemporaryFile(buffering=0) as pcm,
        pytest.raises(FileRefused) as problem,
    ):
        decode(path, pcm, lambda *_: None)
    assert "\n" not in problem.value.detail
    assert str(path) in problem.value.detail
    return problem.value.detail.removeprefix(str(path))


def test_what_holds_no_sound_is_refused_with_its_reason(tmp_path: Path) -> None:
    empty, text, header = (tmp_path / name for name in ("empty.wav", "text.mp3", "header.wav"))
    empty.touch()
    text.write_text("no sound at all\n" * 400)
    write_header(header, RATE, b"")
    assert refused(empty) == " is empty."
    assert "is no sound or video file, or damaged" in refused(text)
    assert refused(header) == " holds no sound that can be decoded."
    assert refused(write_video(tmp_path / "mute.mp4", 1)) == " is a video without sound."
    assert refused(tmp_path / "nowhere.wav") == " cannot be read (No such file or directory)."
    assert refused(tmp_path) == " cannot be read (Is a directory)."


def write_header(path: Path, rate: int, content: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(content)


@pytest.mark.parametrize("rate", [1, 1_000_000])
def test_a_header_that_nobody_can_have_recorded_with_is_refused(tmp_path: Path, rate: int) -> None:
    write_header(tmp_path / "odd.wav", rate, bytes(60_000))
    assert refused(tmp_path / "odd.wav") == f" says that it has {rate} samples a second."


@pytest.mark.slow
async def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    hour = 3600 * 8_000
    sound = tmp_path / "hour.wav"
    write_header(sound, 8_000, bytes(2 * hour))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryFile(buffering=0) as pcm:
        about = decode(sound, pcm, lambda *_: None)
        track = RoomTrack(pcm, about.samples)
        assert about.samples == pytest.approx(3600 * RATE, abs=RATE)
        assert len(await track.read(about.samples - 30 * RATE, about.samples)) == 30 * RATE
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 << (20 if sys.platform == "darwin" else 10)


def test_a_playlist_opens_nothing_over_the_network(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )
    assert refused(playlist)


def test_more_than_a_day_is_refused(tmp_path: Path) -> None:
    late = write_sound(tmp_path / "late.mkv", beep(1), late_s=25 * 3600, picture=True)
    assert refused(late) == " is longer than 24 hours: cut it."


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    path, told = write_sound(tmp_path / "a.wav", beep(2)), []
    with tempfile.TemporaryFile(buffering=0) as pcm:
        decode(path, pcm, lambda done, total: told.append((done, total)))
    assert told[-1] == pytest.approx((2, 2))


def test_speakers_are_called_as_their_files_are() -> None:
    files = [Path("a/ada.flac"), Path("b/ada.wav"), Path("Ben B..mp3"), Path("c/ada.opus")]
    assert speakers(files) == ["ada", "ada 2", "Ben B.", "ada 3"]


def test_names_that_cannot_be_written_are_replaced() -> None:
    files = [Path(os.fsdecode(b"\xffa.wav")), Path("\x1b[31mred.wav"), Path("\u202egnp.wav")]
    assert speakers(files) == ["\ufffda", "\ufffd[31mred", "\ufffdgnp"]


async def test_a_file_that_ends_too_early_says_so(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "cut.wav", beep(4))
    assert (await decoded(path))[0].missing_s == 0
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 4])
    about, _ = await decoded(path)
    assert (about.samples / RATE, about.missing_s) == pytest.approx((1, 3), abs=0.05)


async def test_a_stream_of_no_known_length_misses_nothing(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "pipe.wav", beep(2))
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff" * 4
    path.write_bytes(data)
    assert (await decoded(path))[0].missing_s == 0


def test_silence_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    write_header(path, RATE, bytes(2 * RATE * 600) + b"\x10\x20" * RATE + bytes(2 * RATE * 600))
    with tempfile.TemporaryFile(buffering=0, dir=tmp_path) as pcm:
        about = decode(path, pcm, lambda *_: None)
        status = os.fstat(pcm.fileno())
    assert about.samples == 1201 * RATE
    assert status.st_size == 2 * about.samples
    assert status.st_blocks * 512 < 4 * RATE


def test_files_come_together_on_one_clock() -> None:
    heard = {
        "ada": TrackTranscript("en", 1.0, (Word(2000, 3000, "Second.", 0.9),), ()),
        "ben": TrackTranscript("en", 1.0, (Word(0, 1000, "First.", 0.9),), (Span(5000, 7000),)),
        "eve": TrackTranscript(None, 0.0, (), ()),
    }
    transcript = together(heard)
    assert [(cue.speaker, cue.text) for cue in transcript.cues] == [
        ("ben", "First."),
        ("ada", "Second."),
    ]
    assert transcript.missing == [MissingSpeech(Span(5000, 7000), "ben")]
    assert transcript.render(Format.VTT).startswith("WEBVTT\n")
    assert "1\n00:00:00,000 --> 00:00:01,000\nben: First.\n" in transcript.render(Format.SRT)
    assert "[possibly missing: ben, 0:00:05 to 0:00:07]" in transcript.render(Format.TXT)
    assert '"speaker": "ada"' in transcript.render(Format.JSON)


def test_the_decoders_that_people_need_are_there() -> None:
    for name in ("opus", "flac", "mp3float", "aac", "vorbis", "pcm_s16le"):
        assert av.codec.Codec(name, "r").name
