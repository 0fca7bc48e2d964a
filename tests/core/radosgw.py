"""Ceph's S3 service on one node, the referee of the storage contract (about 20 s to start).

Used when its programs are installed; with ENCORE_TEST_RADOSGW=1 a root on Debian installs them.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.postgres import free_port

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool")
START_SECONDS = 60.0

CONFIG = """
[global]
fsid={fsid}
mon initial members=a
mon host=[v2:127.0.0.1:{mon_port}]
public addr=127.0.0.1
cluster addr=127.0.0.1
auth cluster required=cephx
auth service required=cephx
auth client required=cephx
osd pool default size=1
osd pool default min size=1
mon warn on pool no redundancy=false
mon allow pool size one=true
osd crush chooseleaf type=0
osd crush update on start=false
osd pool default pg num=1
osd pool default pgp num=1
mon max pg per osd=1000
osd pool default pg autoscale mode=off
run dir={folder}/run
admin socket={folder}/run/$name.asok
log file={folder}/$name.log
mon cluster log file={folder}/cluster.log
mon data={folder}/mon
osd data={folder}/osd
keyring={folder}/keyring
osd objectstore=memstore
memstore device bytes=1073741824
ms bind ipv6=false
[client.rgw]
rgw frontends=beast endpoint=127.0.0.1:{rgw_port}
rgw thread pool size=16
rgw run sync thread=false
rgw enable usage log=false
rgw enable gc threads=false
[mgr]
mgr modules path=
"""


def why_not() -> str | None:
    """A sentence for the skipped test, or None when radosgw can run here."""
    if all(shutil.which(program) for program in PROGRAMS):
        return None
    if os.environ.get("ENCORE_TEST_RADOSGW") != "1":
        return "radosgw is not installed; ENCORE_TEST_RADOSGW=1 installs it on Debian as root"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "radosgw can be installed only by root on Debian"
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"apt-get failed: {done.stderr.strip()[-200:]}"


@dataclass
class Cluster:
    """A monitor, an OSD in memory and a gateway over `folder`, all on loopback."""

    folder: Path
    mon_port: int = field(default_factory=free_port)
    rgw_port: int = field(default_factory=free_port)
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.rgw_port}"

    def start(self, *, access_key: str, secret_key: str) -> None:
        for name in ("mon", "osd", "run"):
            (self.folder / name).mkdir(parents=True)
        fsid = str(uuid.uuid4())
        (self.folder / "ceph.conf").write_text(
            CONFIG.format(
                fsid=fsid, folder=self.folder, mon_port=self.mon_port, rgw_port=self.rgw_port
            )
        )
        self._make_keys()
        self._start_mon(fsid)
        self._start_osd()
        user = ["user", "create", "--uid=t", "--display-name=t", f"--access-key={access_key}"]
        self._run("radosgw-admin", "-n", "client.rgw", *user, f"--secret-key={secret_key}")
        self._serve("radosgw", "-n", "client.rgw", f"--keyring={self.folder / 'keyring'}")
        self._until(self._answers, "radosgw")

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.send_signal(signal.SIGKILL)
            server.wait()

    def _make_keys(self) -> None:
        keyring = str(self.folder / "keyring")
        everything = ["--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        for name, caps in {
            "mon.": ["--cap", "mon", "allow *"],
            "client.admin": ["--cap", "mon", "allow *", *everything],
            "client.rgw": ["--cap", "mon", "allow *", *everything],
            "osd.0": ["--cap", "mon", "allow profile osd", *everything],
        }.items():
            create = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            self._run("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *caps)

    def _start_mon(self, fsid: str) -> None:
        monmap, keyring = str(self.folder / "monmap"), str(self.folder / "keyring")
        address = f"[v2:127.0.0.1:{self.mon_port}]"
        self._run(
            "monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, monmap
        )
        self._run("ceph-mon", "--mkfs", "--keyring", keyring, "-i", "a", "--monmap", monmap)
        self._serve("ceph-mon", "-i", "a")

    def _start_osd(self) -> None:
        identifier = str(uuid.uuid4())
        self._run("ceph", "osd", "new", identifier)
        self._run("ceph-osd", "-i", "0", "--osd-uuid", identifier, "--mkfs")
        self._run("ceph", "osd", "crush", "add", "osd.0", "1", "root=default")
        self._serve("ceph-osd", "-i", "0")
        self._until(lambda: "1 up" in self._run("ceph", "osd", "stat"), "the OSD")

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.endpoint, timeout=5, trust_env=False).status_code == 200
        return False

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not start; see {self.folder}")
            time.sleep(0.1)

    def _serve(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("wb") as out:
            command = [program, *arguments, *self._config(), "--foreground"]
            self.servers.append(subprocess.Popen(command, stdout=out, stderr=out))

    def _run(self, program: str, *arguments: str) -> str:
        config = [] if program in {"monmaptool", "ceph-authtool"} else self._config()
        done = subprocess.run(
            [program, *config, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
            env={**os.environ, "CEPH_CONF": str(self.folder / "ceph.conf")},
        )
        if done.returncode != 0:
            words = " ".join([program, *arguments])
            raise RuntimeError(f"{words}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _config(self) -> list[str]:
        return ["-c", str(self.folder / "ceph.conf")]


@contextlib.contextmanager
def radosgw(folder: Path, *, access_key: str, secret_key: str) -> Iterator[str]:
    """The URL of a fresh gateway that knows one user."""
    cluster = Cluster(folder)
    try:
        cluster.start(access_key=access_key, secret_key=secret_key)
        yield cluster.endpoint
    finally:
        cluster.stop()
