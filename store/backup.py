"""Everything a site has stored, in one file, taken while it runs; and put back where nothing is.

    records ─▶ journal ─▶ history ─▶ all else ─▶ points ─▶ manifest      in this order

Each is a moment younger than the one before, and none refers to what an earlier one lacks: the records' place in the journal is in the
journal, all that the journal counts as forwarded is in the history, and every point of theirs is in the registry. What lies between
is forwarded or judged once more, which changes nothing.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

import zstandard

from domain.errors import ConfigError, Mistake, StoreError
from store.history.parquet import MERGE, alone
from store.sqlite import BUSY_S

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_DATA, _SITE = "data", "site"
_LEFT_OUT: Final = ("logs", "health", "live", "migrations", "reports")  # tell of now, or are made again
_SUFFIXES: Final = ("-wal", "-shm", ".lock", ".tmp", ".rescue")
_FIRST: Final = ("records.db", "journal.db")
_HISTORY: Final = "history"
_LAST: Final = "points.db"
_SITE_FILES: Final = {".toml", ".csv", ".xlsx", ".pem", ".der", ".crt", ".cer"}
_DATABASE: Final = ".db"
_SQLITE: Final = b"SQLite format 3\0"
_PIECE: Final = 1 << 20

Tell = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Member:
    """One file of a backup: its path (POSIX, below ``data/`` or ``site/``), bytes, and SHA-256 in hex."""

    path: str
    size: int
    sha256: str


# ── taking ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def back_up(data: Path, site_folder: Path, sink: IO[bytes], tell: Tell) -> list[Member]:
    """Writes the stores in ``data`` and the files of the site's folder to ``sink``.

    Raises StoreError when a file can't be read, OSError when the sink does not take it.
    """
    members: list[Member] = []
    total = max(1, sum(_size(path) for path in _found(data)))
    done = 0
    with _scratch(data) as scratch:
        packer = zstandard.ZstdCompressor(level=3, write_checksum=True)
        with packer.stream_writer(sink, closefd=False) as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name, path in _sources(data, site_folder, scratch):
                members.append(_add(tar, name, path))
                done += members[-1].size
                tell("backing up", min(1.0, done / total))
            inside = data.relative_to(site_folder).as_posix() if site_folder in data.parents else "data"
            manifest = {"format": _FORMAT, "data": inside, "files": [asdict(member) for member in members]}
            _add_bytes(tar, MANIFEST, json.dumps(manifest).encode())
    return members


@contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """A folder on the disk of the stores; what an earlier backup left there is removed."""
    for left in data.glob(".backup-*"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=".backup-", dir=data))
    except OSError as error:
        raise StoreError(f"{data}: {error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sources(data: Path, site_folder: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Name in the archive and file to read, in the order that makes them fit each other; each is made ready when it is asked for."""
    rest = [path for path in _found(data) if path.relative_to(data).parts[0] not in {*_FIRST, _HISTORY, _LAST}]
    for name in _FIRST:
        yield from _copied(data / name, f"{_DATA}/{name}", scratch)
    for path in _linked(data / _HISTORY, scratch / _HISTORY):
        yield f"{_DATA}/{_HISTORY}/{path.relative_to(scratch / _HISTORY).as_posix()}", path
    for path in rest:
        yield from _copied(path, f"{_DATA}/{path.relative_to(data).as_posix()}", scratch)
    yield from _copied(data / _LAST, f"{_DATA}/{_LAST}", scratch)
    for path in sorted(site_folder.rglob("*")):
        if path.suffix.lower() in _SITE_FILES and path.is_file() and data not in path.parents:
            yield f"{_SITE}/{path.relative_to(site_folder).as_posix()}", path


def _found(data: Path) -> list[Path]:
    """The files in ``data`` that are worth keeping."""
    walk = os.walk(data, onerror=_unless_gone)
    paths = [Path(folder, name) for folder, _, names in walk for name in names if not name.endswith(_SUFFIXES)]
    names = ((path, path.relative_to(data)) for path in sorted(paths) if path.is_file())
    return [path for path, name in names if name.parts[0] not in _LEFT_OUT and not _hidden(name)]


def _unless_gone(error: OSError) -> None:
    """A folder that the history has emptied and removed meanwhile is no fault."""
    if not isinstance(error, FileNotFoundError):
        raise StoreError(f"{error.filename}: {error.strerror}") from error


def _size(path: Path) -> int:
    """Bytes of a file; none where it is gone: the history merges its files while they are counted."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _copied(path: Path, name: str, scratch: Path) -> Iterator[tuple[str, Path]]:
    """The file itself, or, of a database, a copy of one instant; nothing where it is gone."""
    try:
        with path.open("rb") as file:
            database = file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return
    if not database and path.suffix != _DATABASE:  # one that another process is just making has nothing in it yet
        yield name, path
        return
    copy = scratch / "copy.db"
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)  # one reading transaction: writers go on beside it
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    yield name, copy
    copy.unlink()


def _linked(history: Path, into: Path) -> Iterator[Path]:
    """Links to the files of the embedded history as they are now: it may merge and remove its own while they are read."""
    if not history.is_dir():
        return
    with alone(history, MERGE):
        for path in _found(history):
            link = into / path.relative_to(history)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.hardlink_to(path)
    yield from sorted(path for path in into.rglob("*") if path.is_file())


def _add(tar: tarfile.TarFile, name: str, path: Path) -> Member:
    try:
        with path.open("rb") as file:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = os.fstat(file.fileno()).st_size, int(path.stat().st_mtime), 0o600
            reader = _Hashing(file, info.size)
            tar.addfile(info, cast("IO[bytes]", reader))  # it asks for nothing but read
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    return Member(name, info.size, reader.digest.hexdigest())


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    tar.addfile(info, io.BytesIO(content))


class _Hashing:
    """Reads ``size`` bytes of a file that may be growing, and keeps their digest."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        self.digest.update(piece)
        return piece


# ── putting back ──────────────────────────────────────────────────────────────────────────────────────────────────────


def restore(archive: Path, data: Path | None, site_folder: Path, tell: Tell) -> tuple[Path, int]:
    """Puts a backup back into ``data``, whole or not at all; returns the folder and how many files that are.

    Where there is no site yet, ``data`` is None: its own files are put back too, and the data below them where they were.
    Raises ConfigError when the folder is not empty, or the file is no backup, is cut short or altered; StoreError when the disk does
    not take it.
    """
    if data is not None:
        check_empty(data)
    beside = (site_folder if data is None else data).parent
    try:
        beside.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".restore-", dir=beside))
    except OSError as error:
        raise StoreError(f"{beside}: {error}") from error
    try:
        manifest = _unpack(archive, fresh, tell)
        if data is None:
            data = site_folder / PurePosixPath(manifest["data"])
            check_empty(data)
            (fresh / _SITE).mkdir(exist_ok=True)
            shutil.copytree(fresh / _SITE, site_folder, dirs_exist_ok=True)
        (fresh / _DATA).mkdir(exist_ok=True)
        data.parent.mkdir(parents=True, exist_ok=True)
        if data.exists():
            data.rmdir()
        (fresh / _DATA).rename(data)
    except OSError as error:
        raise StoreError(f"{beside}: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return data, len(manifest["files"])


def check_empty(data: Path) -> None:
    """Raises ConfigError when there is anything in the folder."""
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        remedy = "is not empty: a backup is put back only where nothing would be lost by it; move what is there away first"
        raise ConfigError(Mistake(str(data), remedy))


def _unpack(archive: Path, into: Path, tell: Tell) -> dict[str, Any]:
    """Every file of the archive, checked against its manifest, which is returned."""
    found: list[Member] = []
    manifest: Any = None
    try:
        size = max(1, archive.stat().st_size)
        with archive.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as packed:
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                for info in tar:
                    content = tar.extractfile(info)
                    if content is None or not _safe(info.name):
                        raise _no_backup(archive, f"it holds {info.name!r}")
                    if info.name == MANIFEST:
                        manifest = json.load(content)
                        continue
                    found.append(_extract(content, into / info.name, info))
                    tell("restoring", min(1.0, raw.tell() / size))
            packed.read()  # the last checksum
    except FileNotFoundError:
        raise ConfigError(Mistake(str(archive), "no such file")) from None
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise _no_backup(archive, " ".join(str(error).split())) from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT or not _safe(f"{_DATA}/{manifest.get('data')}"):
        raise _no_backup(archive, "its end is missing")
    if manifest["files"] != [asdict(member) for member in found]:
        raise _no_backup(archive, "its files are not those that were put in")
    return dict(manifest)


def _extract(content: IO[bytes], path: Path, info: tarfile.TarInfo) -> Member:
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = _Hashing(content, info.size)
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        while piece := reader.read(_PIECE):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, (info.mtime, info.mtime))
    return Member(info.name, info.size, reader.digest.hexdigest())


def _safe(name: str) -> bool:
    """Whether the name leads to where it should."""
    parts = PurePosixPath(name).parts
    return name == MANIFEST or (len(parts) > 1 and parts[0] in {_DATA, _SITE} and ".." not in parts)


def _no_backup(archive: Path, why: str) -> ConfigError:
    return ConfigError(Mistake(str(archive), f"no whole backup of `keepwarm backup`: {why}"))
