"""One rehearsal's world: where it lives on disk, what its namespaces are called, and its object store.

Several worlds run side by side on one host. What they have in common (the machine image, downloaded packages) is in
the cache; all else carries the world's tag, so that a world can be found and removed even when its folder is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

RUNTIME = Path("/run/flask-origin")
"""Sockets and process output. Under /run, because a path of a socket must be shorter than 108 bytes."""


class WorldFailed(Exception):
    """The stand-in cloud can't do what was asked; the message says why, to the person at the terminal."""


class World:
    """A stand-in cloud rooted in a folder.

    root: the world's folder, made if missing. cache: what worlds share; REHEARSAL_CACHE or /var/cache/flask-origin.
    """

    def __init__(self, root: Path, cache: Path | None = None) -> None:
        self.root = root.resolve()
        self.cache = (cache or Path(os.environ.get("REHEARSAL_CACHE") or "/var/cache/flask-origin")).resolve()
        self.tag = hashlib.sha256(str(self.root).encode()).hexdigest()[:6]
        self.runtime = RUNTIME / self.tag
        self.store = Store(self.root / "cloud")
        self.root.mkdir(parents=True, exist_ok=True)

    def namespace(self, place: str) -> str:
        """The network namespace's name of a place or machine."""
        return f"fo-{self.tag}-{place}"

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keeps other threads and processes of this world out of the same step."""
        self.runtime.mkdir(parents=True, exist_ok=True)
        with locked(self.runtime / f"{name}.lock"):
            yield


class Store:
    """One JSON file per object, `<folder>/<collection>/<id>.json`; a collection's name may have slashes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, collection: str, id: str, obj: dict[str, Any]) -> None:
        """Writes the object whole or not at all."""
        _write(self._path(collection, id), json.dumps(obj, indent=1, sort_keys=True))

    def get(self, collection: str, id: str) -> dict[str, Any] | None:
        try:
            return json.loads(self._path(collection, id).read_text())
        except FileNotFoundError:
            return None

    def delete(self, collection: str, id: str) -> None:
        """Already gone is fine."""
        self._path(collection, id).unlink(missing_ok=True)

    def items(self, collection: str) -> dict[str, dict[str, Any]]:
        """All objects by id, sorted by id."""
        found = {}
        for path in sorted((self.folder / collection).glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # deleted by another thread since the listing
                found[unquote(path.stem)] = json.loads(path.read_text())
        return found

    def serial(self, collection: str) -> int:
        """1, 2, 3 …: never the same again, not even after the object is deleted."""
        path = self.folder / collection / ".serial"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.with_name(".serial.lock")):
            number = int(path.read_text()) + 1 if path.exists() else 1
            _write(path, str(number))
        return number

    def _path(self, collection: str, id: str) -> Path:
        if not id:
            raise ValueError(f"{collection}: an object needs an id")
        # A leading dot would make a hidden file, which items() does not see.
        return self.folder / collection / f"{quote(id, safe=' @:+').replace('.', '%2E')}.json"


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Holds an exclusive lock on the file; gives its descriptor. Raises BlockingIOError when taken and not `wait`.

    The kernel drops the lock when its holder dies, whatever killed it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield descriptor
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
