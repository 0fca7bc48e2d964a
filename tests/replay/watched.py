"""Every playlist that a test sees is checked: alone, and against the version before it."""

import httpx

from tests.replay.playlist_rules import apply_delta, check_master, check_media, check_update


class Watched:
    """A response hook of httpx. One that has missed segments of a window learns nothing of it."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    async def __call__(self, answer: httpx.Response) -> None:
        path = answer.request.url.path
        if answer.status_code != 200 or answer.request.method != "GET" or path[-5:] != ".m3u8":
            return
        await answer.aread()
        self.check(path, answer.text)

    def check(self, path: str, text: str) -> None:
        """`text` is a full playlist, or a delta update to the one that was seen last."""
        if path.endswith("master.m3u8"):
            check_master(text)
            return
        playlist = check_media(text)
        before = self._seen.get(path)
        if playlist.skipped:
            if before is None:
                return
            text = apply_delta(before, text)
            playlist = check_media(text)
        if before is not None:
            old = check_media(before)
            if playlist.first <= old.first + len(old.uris):
                check_update(before, text)
        self._seen[path] = text
