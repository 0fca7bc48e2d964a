"""nginx over the files that the edge serves: the same names, bytes and compressed forms."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from core.postgres import free_port

CONFIG: Final = """
daemon off; user {user}; worker_processes 1; worker_rlimit_nofile 65536;
pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_timeout 65; keepalive_requests 1000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    types {{ application/vnd.apple.mpegurl m3u8; audio/mp4 m4s mp4; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/www;
        add_header Access-Control-Allow-Origin *;
        location ~ m4s$ {{ add_header Cache-Control "public, max-age=31536000, immutable"; }}
        location ~ m3u8$ {{
            gzip_static on;
            add_header Cache-Control "public, max-age=1";
            if ($arg__HLS_skip) {{ rewrite ^(.*)/index.m3u8$ $1/delta.m3u8 break; }}
        }}
    }}
}}
"""

PLAYLISTS: Final = (
    ("live.m3u8", "live.m3u8"),
    ("index.m3u8", "index.m3u8"),
    ("delta.m3u8", "index.m3u8?_HLS_skip=YES"),
)
MIRROR_SECONDS: Final = 0.25


def nginx_is_here() -> bool:
    """Tries to bring it where apt is there and may be used."""
    if shutil.which("nginx") is None and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "nginx-light"], capture_output=True)
    return shutil.which("nginx") is not None


@asynccontextmanager
async def nginx(edge_folder: str, spool: Path) -> AsyncIterator[tuple[int, int]]:
    """Its pid and port. It mirrors what is at `edge_folder` (a URL) while the body runs."""
    with tempfile.TemporaryDirectory(prefix="encore-bench-nginx-") as name:
        folder = Path(name)
        (folder / "www" / "r1" / "mix").mkdir(parents=True)
        port = free_port()
        user = "root" if os.geteuid() == 0 else str(os.geteuid())
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, user=user))
        mirroring = asyncio.create_task(_mirror(edge_folder, spool, folder / "www"))
        await asyncio.sleep(1)  # the first copy
        process = await asyncio.create_subprocess_exec(
            *("nginx", "-p", name, "-c", str(config)), stderr=subprocess.DEVNULL
        )
        try:
            yield process.pid, port
        finally:
            process.terminate()
            await process.wait()
            mirroring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await mirroring


async def _mirror(edge_folder: str, spool: Path, www: Path) -> None:
    linked = 0
    async with httpx.AsyncClient(base_url=edge_folder, timeout=60) as http:
        while True:
            drafts = {
                www / f"{name}{suffix}": await _body(http, source, coding)
                for name, source in PLAYLISTS
                for suffix, coding in ((".gz", "gzip"), ("", "identity"))
            }
            # All segments that these name are there by now.
            while (segment := spool / f"mix-{linked:06d}.m4s").exists():
                (www / "r1" / "mix" / f"{linked}.m4s").hardlink_to(segment)
                linked += 1
            for target, data in drafts.items():
                _replace(target, data)
            await asyncio.sleep(MIRROR_SECONDS)


async def _body(http: httpx.AsyncClient, source: str, coding: str) -> bytes:
    """As it was sent, compressed or not."""
    request = http.build_request("GET", source, headers={"Accept-Encoding": coding})
    answer = await http.send(request, stream=True)
    data = b"".join([part async for part in answer.aiter_raw()])
    await answer.aclose()
    return data


def _replace(target: Path, data: bytes) -> None:
    """At once, and only by something else: nginx makes its ETag of size and time."""
    if target.exists() and target.read_bytes() == data:
        return
    draft = target.with_suffix(".draft")
    draft.write_bytes(data)
    draft.rename(target)
