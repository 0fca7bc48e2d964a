"""Holds the scripted room: three people with an account each, who join, speak and leave over
the public API and WebRTC alone, as anybody's client would."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from demo.client import Person
from demo.script import Script, Turn
from demo.speaker import Speaker

LOSS = 0.02
"""Share of RTP packets that each speaker's network drops."""

AWAY_S = 2.5
"""How long a speaker's network is gone before the client connects again."""

SPEAKERS_SHARE_BPS = 2000
"""Of every tip, in 1/100 of a percent: what the two guests share."""

Say = Callable[[float | None, str], None]
Act = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class ScriptedRoom:
    """One run of the script; `say` is told what happens: seconds since go-live, and a line."""

    script: Script
    web_url: str
    accounts: dict[str, tuple[str, str]]
    """Email and password by name."""

    say: Say
    guests: Sequence[tuple[float, Act]] = ()
    """What others do, and when."""

    room_id: str = ""
    recording_id: str = ""
    people: dict[str, Person] = field(default_factory=dict)
    speakers: dict[str, Speaker] = field(default_factory=dict)
    _live_at: float | None = None

    @property
    def host(self) -> Person:
        return self.people[self.script.speakers[0].name]

    async def hold(self) -> None:
        """From sign-in to the end of the room."""
        async with contextlib.AsyncExitStack() as opened:
            await self._sign_in(opened)
            await self._create()
            await self._go_live(opened)
            await asyncio.gather(*(self._act(at, act) for at, act in self._plan()))
            await self._at(self.script.end_s)
            await self.host.call("POST", f"/rooms/{self.room_id}/end")
            self._tell("Ada ended the room.")

    async def _sign_in(self, opened: contextlib.AsyncExitStack) -> None:
        for one in self.script.speakers:
            person = await opened.enter_async_context(Person(self.web_url, one.name))
            self.people[one.name] = person
            await person.sign_in(*self.accounts[one.name])

    async def _create(self) -> None:
        room = await self.host.call(
            "POST",
            "/rooms",
            {
                "title": self.script.title,
                "description": self.script.description,
                "topics": self.script.topics,
                "language": self.script.speakers[0].language,
                "visibility": "public",
                "speakers_share_bps": SPEAKERS_SHARE_BPS,
            },
        )
        self.room_id = room["id"]

    async def _go_live(self, opened: contextlib.AsyncExitStack) -> None:
        """The guests are invited and have agreed to be recorded before the first word."""
        for name, person in self.people.items():
            if person is not self.host:
                me = await person.call("GET", "/me")
                invitation = {"user_id": me["user"]["id"], "role": "speaker"}
                await self.host.call("POST", f"/rooms/{self.room_id}/invitations", invitation)
                await person.call("POST", f"/rooms/{self.room_id}/invitations/accept")
            await person.call("PUT", f"/rooms/{self.room_id}/consent", {"consent": True})
            self._tell(f"{name} agreed to be recorded.")
        room = await self.host.call("POST", f"/rooms/{self.room_id}/live")
        self._live_at = asyncio.get_running_loop().time()
        self.recording_id = room["recording_id"]
        self._tell("The room is live.")
        for person in self.people.values():
            await person.call("POST", f"/rooms/{self.room_id}/join")
        for seed, name in enumerate(self.people):
            speaker = await opened.enter_async_context(Speaker(loss=LOSS, seed=seed))
            self.speakers[name] = speaker
        await asyncio.gather(*(self._connect(name) for name in self.people))

    async def _connect(self, name: str) -> None:
        ticket = await self.people[name].call("POST", f"/rooms/{self.room_id}/publish")
        await self.speakers[name].connect(ticket["whip_url"], ticket["token"])

    def _plan(self) -> list[tuple[float, Act]]:
        script = self.script
        plan: list[tuple[float, Act]] = [
            (turn.start_s, functools.partial(self._speak, turn)) for turn in script.turns
        ]
        pause = functools.partial(self._record, "paused", "Off the record.")
        resume = functools.partial(self._record, "on", "On the record again.")
        plan += [(script.pause_start_s, pause), (script.pause_end_s, resume), *self.guests]
        plan.append((script.reconnect_at_s, self._reconnect))
        return plan

    async def _act(self, at_s: float, act: Act) -> None:
        await self._at(at_s)
        await act()

    async def _at(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - (self._elapsed_s() or 0.0)))

    def _elapsed_s(self) -> float | None:
        now = asyncio.get_running_loop().time()
        return None if self._live_at is None else now - self._live_at

    def _tell(self, line: str) -> None:
        self.say(self._elapsed_s(), line)

    async def _speak(self, turn: Turn) -> None:
        self.speakers[turn.speaker].play(turn.file)
        self._tell(f"{turn.speaker}: " + ("(off the record)" if turn.off_the_record else turn.text))

    async def _record(self, state: str, sentence: str) -> None:
        await self.host.call("PUT", f"/rooms/{self.room_id}/recording", {"state": state})
        self._tell(sentence)

    async def _reconnect(self) -> None:
        name = self.script.reconnect_speaker
        self.speakers[name].drop()
        self._tell(f"{name}'s connection is gone.")
        await asyncio.sleep(AWAY_S)
        await self._connect(name)
        self._tell(f"{name} is back.")
