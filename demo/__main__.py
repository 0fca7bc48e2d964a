"""`make demo`: starts everything, holds the scripted room, proves its replay, keeps serving."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from core.errors import Problem
from core.keys import derive_key, load_secret
from core.settings import Settings
from demo.client import ApiError, Person
from demo.payday import Command, NotAddingUp, pay_out
from demo.proof import NoReplay, decode, replay_url, stored_recording, until_ended
from demo.room import ScriptedRoom
from demo.script import Script, load_script
from demo.speaker import PublishFailed
from demo.stars import LIVE_TIP_AT_S, NAME, Fan, NotPaid
from demo.transcript import (
    NoTranscript,
    Transcript,
    accuracy,
    leaked,
    published,
    search,
    telling_word,
)
from web.processes import PROCESSES
from web.supervise import PortTaken, check_ports, running

STORED_SECONDS = 30.0
PORTS = ("web_port", "edge_port", "ingest_port", "ingest_udp_port", "sandbox_port")

console = Console(highlight=False, soft_wrap=True)


def demo_settings() -> Settings:
    """A folder of its own; other ports where the usual ones are taken; logs only of trouble."""
    changes: dict[str, object] = {}
    if "ENCORE_DATA_DIR" not in os.environ:
        changes["data_dir"] = Path(".encore/demo")
    if "ENCORE_LOG_LEVEL" not in os.environ:
        changes["log_level"] = "WARNING"
    settings = Settings().model_copy(update=changes)
    try:
        check_ports(settings, tuple(PROCESSES))
    except PortTaken as taken:
        console.print(f"{taken.detail.split(';')[0]}: using other ports")
        settings = settings.model_copy(update=dict(zip(PORTS, _free_ports(), strict=True)))
    return settings


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        kinds = [socket.SOCK_STREAM] * 3 + [socket.SOCK_DGRAM, socket.SOCK_STREAM]
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for kind in kinds]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def accounts(settings: Settings, script: Script) -> dict[str, tuple[str, str]]:
    """Email and password by name: the same at each run over one data folder, like no other's."""
    secret = load_secret(settings)
    return {
        name: (
            f"{name.lower()}@demo.example.com",
            derive_key(secret, f"demo-account:{name}").hex()[:20],
        )
        for name in (*(one.name for one in script.speakers), NAME)
    }


async def run(*, once: bool) -> None:
    """Cancelled by Ctrl-C or SIGTERM at any time: everything ends in order, data stays."""
    settings, script = demo_settings(), load_script()
    console.print("Starting Encore ...")
    async with running(settings, tuple(PROCESSES), embed_database=True) as supervisor:
        settings = supervisor.settings
        people = accounts(settings, script)
        say = _progress(script)
        room = ScriptedRoom(script, settings.public_web_url, people, say)
        console.print(
            f"A room of {script.end_s:.0f} s with three speakers. Listen: {room.web_url}/\n"
        )
        async with Person(room.web_url, NAME) as listener:
            result = await hold(room, Fan(listener, say), Command(settings))
        if once:
            console.print(f"Data lies in {settings.data_dir}; `make demo` serves it again.")
            sys.stdout.write(json.dumps(result) + "\n")
        else:
            _say_links(settings, room)
            await asyncio.Event().wait()


async def hold(room: ScriptedRoom, fan: Fan, encore: Command) -> dict[str, object]:
    """The room from sign-in to the payout, with the numbers of each part."""
    room.guests = [(LIVE_TIP_AT_S, lambda: fan.tip_live(room.room_id))]
    await fan.person.sign_in(*room.accounts[NAME])
    await fan.buy()
    await room.hold()
    return await prove(room) | await read(room) | {"stars": await pay(room, fan, encore)}


def _progress(script: Script) -> Callable[[float | None, str], None]:
    """A line of what happens, with its second on the room's clock."""

    def say(at_s: float | None, line: str) -> None:
        clock = "" if at_s is None else f"{at_s:.1f} of {script.end_s:.0f} s"
        console.print(f"[dim]{clock:>12}[/dim]  {escape(line)}")

    return say


async def prove(room: ScriptedRoom) -> dict[str, object]:
    """The numbers of this run: fetched and decoded as a listener would."""
    url = replay_url(room.web_url, room.room_id)
    endlist_after_s = await until_ended(url)
    console.print(f"\nThe replay was complete {endlist_after_s:.2f} s after the end.")
    replay = await decode(url)
    async with Person(room.web_url, "listener") as listener:
        recording = await stored_recording(listener, room.recording_id, seconds=STORED_SECONDS)
    tracks = {t["display_name"]: await decode(t["url"]) for t in recording["tracks"]}
    gaps = _named(recording)
    return {
        "room_id": room.room_id,
        "recording_id": room.recording_id,
        "duration_s": round(replay.seconds, 3),
        "media_s": round(recording["duration_ms"] / 1000, 3),
        "endlist_after_s": round(endlist_after_s, 3),
        "tracks": {name: round(track.seconds, 3) for name, track in tracks.items()},
        "packets_lost": recording["packets_lost"],
        "gaps": gaps,
        "replay_url": url,
    }


async def read(room: ScriptedRoom) -> dict[str, object]:
    """The transcript, compared with the script, and found by search."""
    async with Person(room.web_url, "listener") as listener:
        console.print()
        found = await published(listener, room.recording_id, _dimmed)
        _print_transcript(found)
        result = accuracy(room.script, found)
        if words := leaked(room.script, found):
            raise NoTranscript(f"said off the record, and in the transcript: {', '.join(words)}")
        word = telling_word(room.script, found)
        took_ms, where = await search(listener, room.recording_id, word)
    console.print(
        f"\nAgainst the script: {result.errors} of {result.words} words wrong, "
        f"{result.wer:.1%}. Nothing said off the record is in it."
    )
    console.print(f"Search found {word!r} in {took_ms:.0f} ms: {where}")
    return {"wer": round(result.wer, 4), "search_ms": round(took_ms, 1)}


async def pay(room: ScriptedRoom, fan: Fan, encore: Command) -> dict[str, object]:
    """A tip on the replay; then the host is paid what both tips brought."""
    tip = await fan.tip_replay(room.room_id)
    heard = tip["sentence"] or {"speaker": "nobody", "text": ""}
    console.print(
        f"\n{NAME} tipped {tip['stars']} Stars on the replay, at what {heard['speaker']} says: "
        f"{escape(' '.join(heard['text'].split()))}"
    )
    async with Person(room.web_url, room.script.speakers[0].name) as host:
        await host.sign_in(*room.accounts[host.name])
        result = await pay_out(host, fan, encore, room_id=room.room_id)
    earned, transferred = (result[key] for key in ("earned_minor", "transferred_minor"))
    console.print(
        f"{host.name} earned {earned} cents of {fan.tipped_stars} Stars and onboarded; two weeks "
        f"later on the sandbox's clock {transferred} were transferred.\n"
        f"The statements add up; {result['invariants_held']} of 11 invariants hold."
    )
    return result


def _dimmed(line: str) -> None:
    console.print(f"[dim]{line}[/dim]")


def _print_transcript(transcript: Transcript) -> None:
    spoken = ", ".join(f"{one['name']} ({one['language']})" for one in transcript.speakers)
    console.print(f"\nTranscript. {escape(spoken)}\n")
    width = max(len(name) for _, name, _ in transcript.turns)
    for start_ms, name, text in transcript.turns:
        minutes, seconds = divmod(start_ms // 1000, 60)
        console.print(
            f"  {minutes}:{seconds:02}  [bold]{escape(name):<{width}}[/bold]  {escape(text)}"
        )


def _named(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """The listed gaps with the names of those they concern; said, too."""
    names = {t["participant_id"]: t["display_name"] for t in recording["tracks"]}
    gaps = [{**gap, "name": names.get(gap["participant_id"])} for gap in recording["gaps"]]
    for gap in gaps:
        start_s, end_s = gap["room_start_ms"] / 1000, gap["room_end_ms"] / 1000
        cause = gap["cause"].replace("_", " ")
        console.print(f"Listed: {gap['name'] or 'all'}, {start_s:.1f} to {end_s:.1f} s: {cause}.")
    return gaps


def _say_links(settings: Settings, room: ScriptedRoom) -> None:
    email, password = room.accounts[room.script.speakers[0].name]
    console.print(f"""
  Replay    {room.web_url}/rooms/{room.room_id}
  Rooms     {room.web_url}/
  API docs  {room.web_url}/docs
  Any player: {replay_url(room.web_url, room.room_id)}
  Sign in as {email}, password {password}
  Data lies in {settings.data_dir}

Open a room of your own with a microphone. Ctrl-C ends it all.""")


def end_once(task: asyncio.Task[None]) -> None:
    """`make` and `timeout` signal the group and the process: what ends in order is let to."""
    if not task.cancelling():
        task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="leave after the scripted room")
    once: bool = parser.parse_args().once
    try:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            task = loop.create_task(run(once=once))
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, end_once, task)
            loop.run_until_complete(task)
    except asyncio.CancelledError:
        console.print("\nEnded; the rooms are kept.")
    except (
        Problem,
        ApiError,
        PublishFailed,
        NoReplay,
        NoTranscript,
        NotPaid,
        NotAddingUp,
    ) as refused:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"demo: {refused}")
        sys.exit(2)


if __name__ == "__main__":
    main()
