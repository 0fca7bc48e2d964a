"""The engine's process: `python -m transcripts.engine --model bundled ...`.

Says what it loaded, then answers frames on stdin with frames on stdout, one at a time, until
stdin ends: whoever asks holds the pipe, and however that dies, this ends at once. Started and
spoken to by `transcripts.engine_process` only.
"""

import argparse
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from core.errors import Problem
from transcripts.frames import HEAD, Message, lengths, pack, parse, sound_of
from transcripts.hub import Progress, obtain
from transcripts.transcriber import Decoding, Heard, Model, Pcm

Answer = Callable[[Message, Pcm], Message]
Question = tuple[Message, Pcm]


class Engine(Protocol):
    """What a Transcriber does, blocking."""

    def hear(self, pcm: Pcm, decoding: Decoding) -> Heard: ...

    def languages(self, pcm: Pcm) -> list[tuple[str, float]]: ...

    def caption(self, pcm: Pcm, language: str | None) -> Heard: ...


def main() -> None:
    given = _arguments()
    answers = _private_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    os.nice(given.niceness)
    questions: queue.SimpleQueue[Question] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, questions), daemon=True).start()
    try:
        model, engine = _load(given, _fetching(answers))
    except Problem as problem:
        _send(answers, _refusal(problem))
        sys.exit(1)
    _send(answers, {"model": asdict(model)})
    _serve(questions, answers, engine)


def _read(pipe: BinaryIO, questions: "queue.SimpleQueue[Question]") -> NoReturn:
    """In a thread of its own, so that the end of the pipe is seen in the middle of a window:
    another process may already be decoding it again."""
    try:
        while len(head := pipe.read(HEAD.size)) == HEAD.size:
            of_json, of_sound = lengths(head)
            questions.put((parse(pipe.read(of_json)), sound_of(pipe.read(of_sound))))
    finally:
        os._exit(0)


def _serve(questions: "queue.SimpleQueue[Question]", answers: BinaryIO, engine: Engine) -> NoReturn:
    """A refusal is an answer; a bug ends the process."""
    kinds: dict[str, Answer] = {
        "hear": lambda asked, pcm: asdict(engine.hear(pcm, Decoding(**asked["decoding"]))),
        "languages": lambda _, pcm: {"languages": engine.languages(pcm)},
        "caption": lambda asked, pcm: asdict(engine.caption(pcm, asked["language"])),
    }
    while True:
        asked, pcm = questions.get()
        try:
            answer = kinds[asked["ask"]](asked, pcm)
        except Problem as problem:
            answer = _refusal(problem)
        _send(answers, answer)


def _load(given: argparse.Namespace, say: Progress) -> tuple[Model, Engine]:
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    installed = obtain(given.model, given.models_dir, say)
    os.environ["HF_HUB_OFFLINE"] = "1"  # once it is here, nothing is asked of the hub
    from transcripts.whisper import Whisper, pick_device

    device, compute_type = pick_device(given.device, given.compute_type)
    engine = Whisper(
        installed.folder, device=device, compute_type=compute_type, threads=given.threads
    )
    return Model(given.model, installed.digest, device, compute_type), engine


def _fetching(answers: BinaryIO) -> Progress:
    """Tells of a download in whole percents."""
    told = -1

    def say(done: int, total: int) -> None:
        nonlocal told
        percent = 100 * done // max(total, 1)
        if percent > told:
            told = percent
            _send(answers, {"fetched_percent": percent})

    return say


def _private_stdout() -> BinaryIO:
    """The pipe for answers; what a library prints goes to stderr instead."""
    ours = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return ours


def _send(answers: BinaryIO, message: Message) -> None:
    answers.write(pack(message))
    answers.flush()


def _refusal(problem: Problem) -> Message:
    return {"error": {"code": problem.code, "detail": problem.detail}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="transcripts.engine")
    parser.add_argument("--model", required=True)
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compute-type", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--niceness", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
