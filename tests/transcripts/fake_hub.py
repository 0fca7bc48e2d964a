"""A hub on this machine, as far as fetching a model asks it; its answers were read off the real
one's documentation: model info with blobs, HEAD and GET of a file at a commit."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from typing import Any, Final

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Hub:
    url: str
    asked: list[str]
    """The path of each request."""


@contextmanager
def serving(repositories: Mapping[str, Files], *, lies: bool = False) -> Iterator[Hub]:
    """One that lies names other weights than it sends."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0].strip("/")
            asked.append(path)
            if path.startswith("api/models/"):
                self._send(_info(repositories, path.removeprefix("api/models/"), lies), with_body)
                return
            repository, _, rest = path.partition("/resolve/")
            file = rest.partition("/")[2]
            self._send(repositories.get(repository, {}).get(file), with_body)

        def _send(self, body: bytes | None, with_body: bool) -> None:
            self.send_response(404 if body is None else 200)
            if body is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            content = body or b""
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _info(repositories: Mapping[str, Files], name: str, lies: bool) -> bytes | None:
    files = repositories.get(name)
    if files is None:
        return None
    siblings = [
        {
            "rfilename": file,
            "size": len(content),
            "lfs": {
                "sha256": hashlib.sha256(content + b"?" * lies).hexdigest(),
                "size": len(content),
                "pointerSize": 134,
            },
        }
        for file, content in files.items()
    ]
    return dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
