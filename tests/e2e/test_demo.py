"""`make demo ONCE=1`: the whole scripted room, as a newcomer's first command runs it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.room import AWAY_S
from demo.script import load_script
from tests.e2e.stack import free_port_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("whisper")]

OFF_THE_RECORD = {"cause": "off_the_record", "participant_id": None}


def run_demo(folder: Path) -> subprocess.CompletedProcess[str]:
    unset = {k: v for k, v in os.environ.items() if not k.startswith(("ENCORE_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "demo", "--once"],
        env={**unset, "ENCORE_DATA_DIR": str(folder), **free_port_settings()},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


async def test_the_scripted_room_is_recorded_and_replayed(tmp_path: Path) -> None:
    script = load_script()
    done = await asyncio.to_thread(run_demo, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    pause, outage = result["gaps"]
    paused_s = (pause["room_end_ms"] - pause["room_start_ms"]) / 1000
    assert {k: pause[k] for k in OFF_THE_RECORD} == OFF_THE_RECORD
    assert paused_s == pytest.approx(script.pause_end_s - script.pause_start_s, abs=1.0)
    assert (outage["cause"], outage["name"]) == ("connection_lost", script.reconnect_speaker)
    assert outage["room_start_ms"] / 1000 == pytest.approx(script.reconnect_at_s, abs=1.0)
    assert AWAY_S <= (outage["room_end_ms"] - outage["room_start_ms"]) / 1000 < AWAY_S + 3
    assert result["media_s"] - result["duration_s"] == pytest.approx(0, abs=0.1)
    assert set(result["tracks"]) == {one.name for one in script.speakers}
    assert all(0 < seconds <= result["duration_s"] for seconds in result["tracks"].values())
    assert result["packets_lost"] > 0, "two percent were lost on the way"
    assert result["endlist_after_s"] >= 0
    assert result["replay_url"].startswith("http://127.0.0.1:")
    assert 0 <= result["wer"] <= 0.1
    assert result["search_ms"] > 0
    assert result["stars"] == {
        "currency": "USD",
        "bought_stars": 4100,
        "paid_minor": 4998,
        "tipped_stars": 3500,
        "earned_minor": 2800,
        "transferred_minor": 2800,
        "statement_closing_minor": 0,
        "invariants_held": 11,
    }
    transcript = done.stdout.partition("Transcript. ")[2]
    assert transcript.startswith("Ada (en), Ben (en), Chiara (it)")
    assert "birthday" not in transcript, "that was said off the record"


def test_the_script_is_whole() -> None:
    """Every turn has its file, within the room, and somebody who says it."""
    script = load_script()
    names = {one.name for one in script.speakers}
    for turn in script.turns:
        assert turn.file.is_file()
        assert turn.speaker in names
        assert turn.start_s + turn.duration_s < script.end_s
        assert turn.off_the_record == (script.pause_start_s <= turn.start_s < script.pause_end_s)
