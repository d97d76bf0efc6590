"""The app's code: packed, or named for the host to fetch, and described to the host's release tool."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from provisioning import servers
from provisioning.inspection import AppRefused, Versions, no_folder, unreadable

EXCLUDED = (
    *(".git", ".hg", ".svn", ".env", ".env.*", ".venv", "__pycache__", "*.pyc", ".DS_Store", ".idea", ".vscode"),
    *("*.egg-info", ".tox", ".nox", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "node_modules"),
    *(".releases", ".rehearsal"),
)
"""Names that stay at home, wherever they are; and so does every folder that is a virtual environment."""

MAX_SIZE = 200_000_000
"""Bytes, unpacked."""


# ---- packing ----


class Code(Protocol):
    """The app's code, as the host gets it."""

    @property
    def path(self) -> Path | None:
        """What is to be uploaded; None when the host fetches it."""
        ...

    @property
    def source(self) -> str:
        """12 hex digits: the release's name for its code."""
        ...

    def located(self) -> Mapping[str, str]:
        """Where the host finds it, and by what it knows it: keys of the manifest."""
        ...


@dataclass(frozen=True, kw_only=True)
class AppArchive:
    """A folder, packed."""

    path: Path
    """A tar.gz."""
    sha256: str
    source: str
    """The first 12 digits of `sha256`."""

    def located(self) -> Mapping[str, str]:
        return {"archive": f"/srv/app/incoming/{self.source}.tar.gz", "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True)
class AppOnTheWeb:
    """An https archive with its SHA-256, or git+https://…@<commit>, which the host fetches by itself."""

    url: str
    sha256: str | None = None
    path: Path | None = None

    @property
    def source(self) -> str:
        return (self.sha256 or self._commit)[:12]

    @property
    def _commit(self) -> str:
        return self.url.rpartition("@")[2]

    def located(self) -> Mapping[str, str]:
        found = {"sha256": self.sha256} if self.sha256 else {"commit": self._commit}
        return {"archive": self.url, **found}


def archive(folder: Path, out_dir: Path, *, exclude: Sequence[str] = (), max_size: int = MAX_SIZE) -> AppArchive:
    """Pack `folder` into out_dir/<source>.tar.gz: the same bytes for the same files, whoever packs them and when.

    `exclude` adds globs to EXCLUDED; one is held against each name and each path from `folder`.
    Raises AppRefused for what can't be packed: a link that leads out, a file that can't be read, too much of it all.
    """
    packed = io.BytesIO()
    sizes: dict[str, int] = {}
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in _files(folder, exclude):
            entry, content = _entry(folder, path)
            sizes[entry.name] = entry.size
            if sum(sizes.values()) > max_size:
                largest = max(sizes, key=sizes.__getitem__)
                raise AppRefused(
                    "app.source",
                    f'"{folder}" has too many bytes; the most are in {largest} ({sizes[largest] / 1e6:.0f} MB)',
                    allowed=f"{max_size / 1e6:.0f} MB",
                    do="list what the app does not need in app.exclude",
                )
            tar.addfile(entry, io.BytesIO(content))
    if not sizes:
        raise AppRefused("app.source", f'"{folder}" has no files')
    sha256 = hashlib.sha256(packed.getvalue()).hexdigest()
    out_dir.mkdir(parents=True, exist_ok=True)
    for old in out_dir.glob("????????????.tar.gz"):
        with contextlib.suppress(FileNotFoundError):  # another run's doing
            if old.stat().st_mtime < time.time() - 86_400:
                old.unlink()
    path = out_dir / f"{sha256[:12]}.tar.gz"
    whole = path.with_suffix(f".{os.getpid()}")
    whole.write_bytes(packed.getvalue())
    whole.replace(path)
    return AppArchive(path=path, sha256=sha256, source=sha256[:12])


def _files(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    """Files and symbolic links below `folder`, sorted by path; no empty folders, as in git."""

    def kept(path: Path) -> bool:
        place = path.relative_to(folder).as_posix()
        if any(fnmatchcase(path.name, glob) for glob in EXCLUDED):
            return False
        globs = [glob.strip("/") for glob in exclude]
        return not any(fnmatchcase(path.name, glob) or fnmatchcase(place, glob) for glob in globs)

    def below(here: Path) -> Iterator[Path]:
        try:
            inside = sorted(path for path in here.iterdir() if kept(path))
        except OSError as error:
            raise unreadable(here, error) from None
        for path in inside:
            if path.is_symlink() or not path.is_dir():
                yield path
            elif not (path / "pyvenv.cfg").exists():
                yield from below(path)

    if not folder.is_dir():
        raise no_folder(folder)
    yield from sorted(below(folder), key=lambda path: path.relative_to(folder).as_posix())


def _entry(folder: Path, path: Path) -> tuple[tarfile.TarInfo, bytes]:
    """Without owner or time, and with one of two modes: none of that is part of the code."""
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    try:
        if path.is_symlink():
            target = path.readlink()
            inside = os.path.normpath(Path(entry.name).parent / target)
            if target.is_absolute() or inside.split("/")[0] == "..":
                raise AppRefused(
                    "app.source",
                    f'the link {entry.name} leads out of "{folder}", to {target}',
                    do="replace it with what it leads to, or list it in app.exclude",
                )
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target.as_posix(), 0o777
            return entry, b""
        if not path.is_file():
            raise AppRefused(
                "app.source", f"{entry.name} is neither file, folder nor link", do="list it in app.exclude"
            )
        content = path.read_bytes()
        entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
        return entry, content
    except OSError as error:
        raise unreadable(path, error) from None


# ---- the manifest ----


class HealthSettings(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def timeout(self) -> int: ...


class RateLimitSettings(Protocol):
    @property
    def requests(self) -> int | None: ...
    @property
    def seconds(self) -> int: ...
    @property
    def burst(self) -> int | None: ...
    @property
    def paths(self) -> Sequence[str]: ...


class AppSettings(Protocol):
    """What of the stack's `app` section the manifest is made from."""

    @property
    def server(self) -> servers.ServerSettings: ...
    @property
    def release_command(self) -> Sequence[str] | None: ...
    @property
    def release_timeout(self) -> int: ...
    @property
    def health(self) -> HealthSettings: ...
    @property
    def keep(self) -> int: ...
    @property
    def drain(self) -> int: ...
    @property
    def maintenance_page(self) -> str | None: ...
    @property
    def error_page(self) -> str | None: ...
    @property
    def static(self) -> Mapping[str, str] | None: ...
    @property
    def uploads(self) -> Sequence[str]: ...
    @property
    def rate_limit(self) -> RateLimitSettings: ...


def _rate_limit(limit: RateLimitSettings) -> Mapping[str, Any] | None:
    if limit.requests is None:
        return None
    burst = limit.burst or limit.requests
    return {"requests": limit.requests, "seconds": limit.seconds, "burst": burst, "paths": list(limit.paths)}


def versions(server: servers.ServerSettings) -> Versions:
    """What is known of the versions of a server's packages."""
    known = servers.SERVERS[servers.name(server)]
    return Versions(oldest_safe={**known.oldest_safe}, too_new={**known.too_new})


def files(app: AppSettings) -> Mapping[str, str]:
    """Paths in the app's folder that must be there, by the setting that names them."""
    pages = {"app.maintenance_page": app.maintenance_page, "app.error_page": app.error_page}
    static = {f"app.static.{url}": place for url, place in (app.static or {}).items()}
    return {**{key: page for key, page in pages.items() if page}, **static}


def static(app: AppSettings, entrypoint: str) -> Mapping[str, Sequence[str]]:
    """Where in the app's folder the files of a URL path are: in the first place that is there, if any.

    Unless told otherwise, as Flask(__name__) has it: /static is the folder `static` beside the entrypoint's module.
    """
    if app.static is not None:
        return {url: [place] for url, place in app.static.items()}
    module = entrypoint.partition(":")[0]
    if module.endswith(".py"):
        folders = [Path(module).parent]
    else:
        package = Path(*module.split("."))
        folders = [base / folder for base in (Path(), Path("src")) for folder in (package, package.parent)]
    return {"/static": list(dict.fromkeys((folder / "static").as_posix() for folder in folders))}


def manifest(code: Code, app: AppSettings, entrypoint: str, hostname: str) -> Mapping[str, Any]:
    """What `release deploy` reads on the host, without the environment, which is secret and joins it on the way."""
    server, served = servers.name(app.server), static(app, entrypoint)
    # What could not be looked over here, the host looks over when it has fetched it.
    asked = {"entrypoint": entrypoint, "files": files(app)}
    return {
        "source": code.source,
        **code.located(),
        "inspect": {} if code.path else asked | asdict(versions(app.server)),
        "run": servers.argv(app.server, entrypoint, _rate_limit(app.rate_limit)),
        "requirements": servers.requirements(server),
        "packages": [*servers.SERVERS[server].packages, *(["brotli"] if served else [])],
        # So that a release command is written as at home: flask db upgrade.
        "variables": {} if "." in entrypoint.partition(":")[2].partition("(")[0] else {"FLASK_APP": entrypoint},
        "health": {"path": app.health.path, "host": hostname, "timeout": app.health.timeout},
        "release_command": list(app.release_command) if app.release_command else None,
        "release_timeout": app.release_timeout,
        "keep": app.keep,
        "drain": app.drain,
        "maintenance_page": app.maintenance_page,
        "error_page": app.error_page,
        "static": served,
        "uploads": list(app.uploads),
    }
