"""Services of docker-compose.yml without a container engine: the kernel's own parts of one, so that every path, port and name is literal.

    network of its own ─▶ mount namespace ─▶ new root: /usr /etc /proc /dev, the service's secrets, volumes, tmpfs ─▶ read-only
                                                                              ─▶ its user, no capability, no new privilege ─▶ its command

The programs are those of this system (Debian's packages, this ``.venv``) instead of images'. It takes root.
"""

import ctypes
import fcntl
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from numba.core.caching import UserProvidedCacheLocator

ROOT: Final = Path(__file__).parents[2]
HEALTHY_S: Final = 150.0  # what the compose file grants: 60 s to start, then three checks of 30 s
STOPPED_S: Final = 10.0  # as patient as an engine is before it kills
_NEW_NETWORK: Final = 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # of an interface (linux/sockios.h)
_KERNEL: Final = ("proc", "dev")
_SYSTEM: Final = ("usr", "etc")
_MERGED: Final = ("bin", "sbin", "lib", "lib64")
_PATH: Final = f"{ROOT}/.venv/bin:{{server}}/usr/local/bin:/usr/bin:/bin:/usr/sbin"


@contextmanager
def network_of_its_own() -> Iterator[None]:
    """This thread, and all it starts meanwhile, on a loopback where every port is free."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "unshare")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
        yield
    finally:
        libc.setns(home, _NEW_NETWORK)
        os.close(home)


@dataclass
class Container:
    """One service: ``mounts`` are (from, to, writable); ``user`` and ``group`` are numbers."""

    name: str
    folder: Path
    command: list[str]
    user: int
    group: int
    mounts: list[tuple[Path, str, bool]]
    tmpfs: list[str]
    environment: dict[str, str]
    health: list[str] = field(default_factory=list)
    read_only: bool = True
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Starts its command; it is this process itself, as in a container."""
        (self.folder / "root").mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "sh", "-euc", self._script()], stdout=log, stderr=log)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs another command in it, as its user: what ``docker compose exec`` does."""
        assert self.process is not None
        enter = ["nsenter", "--target", str(self.process.pid), "--mount", "--", "chroot", str(self.folder / "root")]
        return subprocess.run([*enter, *self._as_user(), *command], capture_output=True, text=True, check=False)

    def healthy(self) -> bool:
        """Whether its health check says so."""
        kind, *words = self.health
        assert kind in ("CMD", "CMD-SHELL")
        if kind == "CMD-SHELL":  # $$ is how compose writes $
            words = ["sh", "-c", words[0].replace("$$", "$")]
        return self.run(words).returncode == 0

    def until_healthy(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + HEALTHY_S
        while not self.healthy():
            assert self.process.poll() is None, f"{self.name} ended: {self.said()}"
            assert time.monotonic() < deadline, f"{self.name} is not healthy: {self.said()}"
            time.sleep(0.1)

    def stop(self) -> int:
        """Ends it as ``docker compose stop`` does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOPPED_S)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """All it has logged."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _script(self) -> str:
        """Makes the root, goes into it, and becomes the command."""
        root = self.folder / "root"
        lines = ["mount --make-rprivate /", f"mount -t tmpfs -o mode=0755 root {root}"]
        lines += [f"mkdir -p {root}/{name} && mount --rbind /{name} {root}/{name}" for name in (*_SYSTEM, *_KERNEL)]
        lines += [f"[ ! -e /{name} ] || cp -P /{name} {root}/{name}" for name in _MERGED]
        lines += [f"mkdir -p {root}{path} && mount -t tmpfs -o mode=1777 tmp {root}{path}" for path in ("/run", *self.tmpfs)]
        lines += [f"mkdir -p {root}{path} && mount --bind {path} {root}{path}" for path in (sys.base_prefix, str(ROOT))]
        lines.append(f"mkdir -p {root}/var && ln -s /run {root}/var/run")
        for source, target, writable in self.mounts:
            at = f"{root}{target}"
            lines.append(f"mkdir -p {at}" if source.is_dir() else f"mkdir -p $(dirname {at}) && [ -e {at} ] || touch {at}")
            lines.append(f"mount --bind {source} {at}" + ("" if writable else f" && mount -o remount,bind,ro {at}"))
        lines += [f"mount -o remount,bind,ro {root}/{name}" for name in _SYSTEM]
        lines += [f"mount -o remount,bind,ro {root}{path}" for path in (sys.base_prefix, str(ROOT))]
        if self.read_only:
            lines.append(f"mount -o remount,ro {root}")
        return "\n".join([*lines, f"exec chroot {root} {shlex.join([*self._as_user(), *self.command])}"])

    def _as_user(self) -> list[str]:
        rights = [f"--reuid={self.user}", f"--regid={self.group}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        return ["setpriv", *rights, "--no-new-privs", "env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]


def hosts(folder: Path, names: list[str]) -> Path:
    """The file by which services find one another."""
    path = folder / "hosts"
    path.write_text(f"127.0.0.1 localhost {' '.join(names)}\n", encoding="utf-8")
    return path


def volume(folder: Path, owner: int) -> Path:
    """A named volume, which belongs to its service's user from the start."""
    folder.mkdir(parents=True)
    if folder.name == "compiled":
        compiled_rules(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner)
    return folder


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets, but for the path, which is this system's."""
    line = re.search(r"^ENV (.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert line
    return {name: value for name, _, value in (one.partition("=") for one in line[1].split()) if name != "PATH"}


def compiled_rules(folder: Path) -> None:
    """Fills the volume as a new one is filled from the image: with the code that this ``.venv`` was set up with."""
    beside: str = UserProvidedCacheLocator.get_suitable_cache_subpath(str(ROOT / "compliance" / "kernel.py"))  # type: ignore[no-untyped-call]
    inside = folder / beside
    inside.mkdir()
    for path in (ROOT / "compliance" / "__pycache__").glob("*.nb[ci]"):
        shutil.copy(path, inside)


def container(
    name: str, compose: dict[str, Any], deploy: Path, folder: Path, user: tuple[int, int], server: Path | None = None
) -> Container:
    """The service of this name as the compose file has it. ``deploy`` stands for ./deploy; ``server``: where its programs are."""
    service = compose["services"][name]
    mounts = [(folder / "hosts", "/etc/hosts", False)]
    mounts += [(deploy.parent / compose["secrets"][one]["file"], f"/run/secrets/{one}", False) for one in service["secrets"]]
    for entry in service["volumes"]:
        source, target, *mode = entry.split(":")
        if source.startswith("."):
            mounts.append((deploy.parent / source, target, "ro" not in mode))
            continue
        kept = folder / "volumes" / source
        mounts.append((kept if kept.exists() else volume(kept, user[0]), target, True))
    path = _PATH.format(server=f"{server}:" if server else "")
    ours = bool(service.get("build"))
    environment = {"PATH": path, "LANG": "C.UTF-8", **(image_environment() if ours else {}), **service.get("environment", {})}
    return Container(
        name,
        folder / name,
        [*(["keepwarm"] if ours else []), *service.get("command", [])],
        *user,
        mounts,
        service.get("tmpfs", []),
        {key: str(value) for key, value in environment.items()},
        service["healthcheck"]["test"],
        service.get("read_only", False),
    )


def copy_of_deploy(folder: Path) -> Path:
    """``deploy`` as it is in a checkout, with the secrets that its own script makes."""
    deploy = folder / "deploy"
    shutil.copytree(ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    subprocess.run([sys.executable, "deploy/make_secrets.py"], cwd=folder, check=True)
    return deploy
