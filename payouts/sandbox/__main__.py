"""`python -m payouts.sandbox --data DIR --port N`: the sandbox alone, until Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from core.errors import Problem
from payouts.sandbox.hazards import Hazards, recording_in
from payouts.sandbox.process import Hook, Options, key_in, serving


def options_of(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser("payouts.sandbox", description="Encore's Stripe stand-in.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that it keeps all in")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 or ::1")
    parser.add_argument("--port", type=int, default=0, help="any free one when absent")
    parser.add_argument("--currency", default="usd", help="that the platform settles in")
    parser.add_argument("--webhook", nargs=2, metavar=("URL", "SECRET"), action="append")
    parser.add_argument("--connect-webhook", nargs=2, metavar=("URL", "SECRET"), action="append")
    parser.add_argument("--record", type=Path, help="file of requests and answers, JSON lines")
    given = parser.parse_args(arguments)
    hooks = [Hook(url, secret) for url, secret in given.webhook or []]
    hooks += [Hook(url, secret, True) for url, secret in given.connect_webhook or []]
    return Options(
        data=given.data,
        key=key_in(given.data),
        host=given.host,
        port=given.port,
        currency=given.currency,
        hooks=tuple(hooks),
        hazards=Hazards(recording=recording_in(given.record)) if given.record else Hazards(),
    )


async def run_until_stopped(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(options) as world:
        sys.stdout.write(f"{world.base_url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    try:
        asyncio.run(run_until_stopped(options_of(sys.argv[1:])))
    except (Problem, OSError) as problem:
        sys.exit(f"payouts.sandbox: {problem}")
