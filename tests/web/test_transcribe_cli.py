"""`encore transcribe` and `encore models` as somebody runs them: words, files, exit codes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from core.errors import Problem
from tests.transcripts.fake_hub import serving
from tests.transcripts.sound_files import write_sound
from tests.transcripts.sounds import SPEECH, hum, music, noise, silence
from tests.transcripts.test_installed_models import MODEL, NAME
from transcripts.files import FileRefused
from transcripts.hub import ModelNotFetched
from transcripts.installed_models import BUNDLED_DIGEST, ModelMissing
from transcripts.transcriber import LanguageUnknown
from web.cli import app
from web.transcribe_cli import FormatContradicted, OutputRefused

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("whisper")]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """An English and an Italian speaker, who speak at the same time."""
    found = []
    for name, source in (("Ada", "01-ada.opus"), ("Chiara", "05-chiara.opus")):
        path = tmp_path / f"{name}.opus"
        path.write_bytes((SPEECH / source).read_bytes())
        found.append(str(path))
    return found


def encore(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(app, list(arguments))


def refused(kind: type[Problem], *arguments: str, **environment: str) -> str:
    """The line with which `encore` ends, with exit code 2."""
    result = encore(*arguments, **environment)
    assert isinstance(result.exception, kind), result.output
    assert "\n" not in result.exception.detail
    return result.exception.detail


def test_several_files_are_one_room_with_a_language_each(files: list[str], tmp_path: Path) -> None:
    output = tmp_path / "room.vtt"
    result = encore("transcribe", *files, "--output", str(output))
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "Ada: 6.2 s, en (" in result.stderr
    assert "Chiara: 7.3 s, it (" in result.stderr
    written = output.read_text()
    assert written.startswith("WEBVTT\n")
    assert "<v Ada>Hello everyone" in written
    assert "<v Chiara>Ciao a tutti" in written
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_results_name_gives_its_format(files: list[str], tmp_path: Path) -> None:
    output, cut = tmp_path / "room.SRT", tmp_path / os.fsdecode(b"\xff\x1b[2Jcut.wav")
    whole = write_sound(tmp_path / "whole.wav", noise(4)).read_bytes()
    cut.write_bytes(whole[: len(whole) // 4])
    result = encore("transcribe", files[0], str(cut), "--output", str(output))
    assert result.exit_code == 0, result.output
    assert output.read_text().startswith("1\n00:00:0")
    assert "\x1b" not in result.stderr
    assert "[2Jcut.wav ends after 1.0 of 4.0 s" in result.stderr
    said = refused(
        FormatContradicted, "transcribe", files[0], "--format", "vtt", "--output", "o.srt"
    )
    assert said == "o.srt is not the name of a vtt file: leave one out."


def test_json_goes_to_stdout(files: list[str]) -> None:
    result = encore("transcribe", files[0], "--format", "json", "--language", "en")
    segments = json.loads(result.stdout)["segments"]
    assert {segment["speaker"] for segment in segments} == {"Ada"}
    assert "live rooms" in " ".join(segment["body"] for segment in segments)


def test_where_nobody_speaks_nothing_is_written(tmp_path: Path) -> None:
    sound = np.concatenate([silence(2), noise(2), hum(2), music(2)])
    path = write_sound(tmp_path / "hall.wav", sound, rate=44_100, layout="stereo")
    result = encore("transcribe", str(path))
    assert result.exit_code == 0, result.output
    assert result.stdout == "WEBVTT\n"
    assert "hall: 8.0 s, nobody speaks in it" in result.stderr


def test_what_cannot_be_done_is_one_line(files: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_text("no sound " * 1000)
    said = refused(FileRefused, "transcribe", files[0], str(broken))
    assert said.startswith(f"{broken} is no sound")
    assert refused(LanguageUnknown, "transcribe", files[0], "--language", "xx")
    assert refused(ModelMissing, "transcribe", files[0], "--model", str(tmp_path))
    nowhere = str(tmp_path / "nowhere" / "a.vtt")
    assert refused(OutputRefused, "transcribe", files[0], "--output", nowhere)
    assert refused(OutputRefused, "transcribe", files[0], "--output", str(tmp_path))
    assert encore("transcribe", files[0], "--format", "pdf").exit_code == 2
    assert encore("transcribe").exit_code == 2


def test_models_are_listed_fetched_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"ENCORE_MODELS_DIR": str(tmp_path)}
    with serving({NAME: MODEL}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        fetched = encore("models", "fetch", NAME, **here)
        assert fetched.exit_code == 0, fetched.output
        assert refused(ModelNotFetched, "models", "fetch", "someone/else", **here)
    listed = json.loads(
        encore("models", "list", "--json", ENCORE_CAPTION_MODEL=NAME, **here).stdout
    )
    assert [(line["model"], line["state"], line["used"]) for line in listed] == [
        ("bundled", "ok", "transcripts"),
        (NAME, "ok", "captions"),
    ]
    assert BUNDLED_DIGEST[:12] in encore("models", "list", **here).stdout

    assert encore("models", "verify", **here).exit_code == 0
    weights = Path(fetched.stdout.strip()) / "model.bin"
    weights.write_bytes(weights.read_bytes()[::-1])
    verified = encore("models", "verify", **here)
    assert verified.exit_code == 3
    assert f"DAMAGED  {NAME}" in verified.stdout
    assert "OK  bundled" in verified.stdout
    assert refused(ModelMissing, "models", "verify", "large-v3", **here)
