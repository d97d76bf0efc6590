"""The app's folder: looked over before anything is created, packed, and described to the host's release tool."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import os
import re
import sys
import tarfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from provisioning import servers

EXCLUDED = (
    *(".git", ".hg", ".svn", ".env", ".env.*", ".venv", "__pycache__", "*.pyc", ".DS_Store", ".idea", ".vscode"),
    *("*.egg-info", ".tox", ".nox", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "node_modules"),
    *(".releases", ".rehearsal"),
)
"""Names that stay at home, wherever they are; and so does every folder that is a virtual environment."""

MAX_SIZE = 200_000_000
"""Bytes, unpacked."""


class AppRefused(ValueError):
    """The app can't be released as it is. One line: the setting, its value, what is allowed, what to do."""

    def __init__(self, key: str, problem: str, *, allowed: str = "", do: str = "") -> None:
        parts = (f"{key}: {problem}", allowed and f"allowed: {allowed}", do and f"do: {do}")
        super().__init__("; ".join(part for part in parts if part))


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
        if old.stat().st_mtime < time.time() - 86_400:
            old.unlink(missing_ok=True)
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
            raise _unreadable(here, error) from None
        for path in inside:
            if path.is_symlink() or not path.is_dir():
                yield path
            elif not (path / "pyvenv.cfg").exists():
                yield from below(path)

    if not folder.is_dir():
        raise _no_folder(folder)
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
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> AppRefused:
    return AppRefused("app.source", f'"{path}": {error.strerror}', do="make it readable, or list it in app.exclude")


def _no_folder(folder: Path) -> AppRefused:
    found = "is a file" if folder.exists() else "does not exist"
    return AppRefused("app.source", f'"{folder}" {found}', allowed="the app's folder")


# ---- looking it over ----


def inspect(folder: Path, entrypoint: str, *, server: str = "waitress", page: str | None = None) -> None:
    """What can be known without running the app: it says what to install, and `entrypoint` and `page` are there.

    Raises AppRefused. Nothing is imported, so names that come from `import *` or `__getattr__` are believed.
    """
    if not folder.is_dir():
        raise _no_folder(folder)
    _check_requirements(folder, servers.SERVERS[server])
    if page and not (folder / page).is_file():
        raise AppRefused("app.maintenance_page", f'"{page}" is not a file in "{folder}"')
    module, _, name = entrypoint.partition(":")
    if entrypoint.endswith(".py"):
        module, name = entrypoint.removesuffix(".py").replace("/", "."), "application"
    file = _module_file(folder, module)
    if file is None:
        place = module.replace(".", "/")
        raise AppRefused(
            "app.entrypoint",
            f'"{entrypoint}": no module {module} in "{folder}"',
            allowed=f"{place}.py or {place}/__init__.py, there or in its src folder",
            do=_instead(_modules_with_an_app(folder)),
        )
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise _unreadable(file, error) from None
    except (SyntaxError, ValueError) as error:
        if sys.version_info < (3, 13) and isinstance(error, SyntaxError):
            return  # the host's Python is newer than this one and may know better
        raise AppRefused("app.source", f"{file.relative_to(folder)} is not Python: {error}") from None
    _check_name(tree, module, name, entrypoint)


def _check_name(tree: ast.Module, module: str, name: str, entrypoint: str) -> None:
    wanted, bound = name.partition("(")[0], dict(_bound(tree.body))
    first = wanted.partition(".")[0]
    if "*" in bound or "__getattr__" in bound:
        return
    if first not in bound:
        raise AppRefused(
            "app.entrypoint",
            f'"{entrypoint}": module {module} has no {first} at its top level',
            do=_instead([f"{module}:{found}" for found in _apps(tree)]),
        )
    what = bound[first]
    if wanted != first:
        return
    if "(" in name:
        if isinstance(what, ast.Call) and ast.unparse(what.func).endswith("Flask"):
            raise AppRefused(
                "app.entrypoint", f'"{entrypoint}": {first} is the app itself', do=f"write {module}:{first}"
            )
        if name.endswith("()") and isinstance(what, ast.FunctionDef) and (missing := _required(what.args)):
            raise AppRefused(
                "app.entrypoint",
                f'"{entrypoint}": {first} can\'t be called without {", ".join(missing)}',
                do="write them between the brackets, or give them defaults",
            )
    elif isinstance(what, ast.FunctionDef) and not what.args.vararg and len(_required(what.args)) != 2:
        raise AppRefused(  # a WSGI app that is a plain function takes environ and start_response
            "app.entrypoint",
            f'"{entrypoint}": {first} is a function that makes the app',
            do=f"write {module}:{first}()",
        )


def _required(arguments: ast.arguments) -> list[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [
        *(argument.arg for argument in positional[: len(positional) - len(arguments.defaults)]),
        *(argument.arg for argument, default in named if default is None),
    ]


def _bound(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """Names that a module's top level binds, with the value or definition; through if, try, with, for and while."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name, statement
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Global):
                        yield from ((name, inner) for name in inner.names)
            case ast.Import() | ast.ImportFrom():
                yield from ((alias.asname or alias.name.partition(".")[0], alias) for alias in statement.names)
            case ast.Assign(targets=targets, value=value):
                yield from ((name, value) for target in targets for name in _names(target))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from ((name, value) for name in _names(target))
            case ast.With(items=items):
                yield from ((n, item) for item in items if item.optional_vars for n in _names(item.optional_vars))
            case ast.For(target=target):
                yield from ((name, target) for name in _names(target))
        for inner in ast.walk(statement):
            if isinstance(inner, ast.NamedExpr):
                yield from ((name, inner) for name in _names(inner.target))
        for block in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _bound(getattr(statement, block, []))
        for clause in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _bound(clause.body)


def _names(target: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _apps(tree: ast.Module) -> Iterator[str]:
    """What looks like an app or a factory, as the part after the colon."""
    for name, what in _bound(tree.body):
        if isinstance(what, ast.Call) and ast.unparse(what.func).endswith("Flask"):
            yield name
        elif (
            isinstance(what, ast.FunctionDef) and re.fullmatch(r"(create|make)_app", name) and not _required(what.args)
        ):
            yield f"{name}()"


def _modules_with_an_app(folder: Path) -> Iterator[str]:
    for base in (folder, folder / "src"):
        for file in sorted([*base.glob("*.py"), *base.glob("*/__init__.py")]):
            module = file.parent.name if file.name == "__init__.py" else file.stem
            try:
                tree = ast.parse(file.read_bytes())
            except (OSError, SyntaxError, ValueError):
                continue
            yield from (f"{module}:{name}" for name in _apps(tree))


def _instead(found: Iterator[str] | Sequence[str]) -> str:
    choices = list(dict.fromkeys(found))[:3]
    return f"write {' or '.join(choices)}" if choices else "name the module and the callable in it"


def _module_file(folder: Path, module: str) -> Path | None:
    place = Path(*module.split("."))
    candidates = (
        base / file for base in (folder, folder / "src") for file in (place.with_suffix(".py"), place / "__init__.py")
    )
    return next((file for file in candidates if file.is_file()), None)


def _check_requirements(folder: Path, server: servers.Server) -> None:
    """That the host will find what to install, as the release tool looks for it, and no server with known holes."""
    project, lock, pinned = (folder / name for name in ("pyproject.toml", "uv.lock", "requirements.txt"))
    try:
        tables = tomllib.loads(project.read_text()) if project.is_file() else {}
        locked = tomllib.loads(lock.read_text()) if project.is_file() and lock.is_file() else {}
        lines = pinned.read_text(errors="replace") if pinned.is_file() else ""
    except OSError as error:
        raise _unreadable(Path(error.filename), error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AppRefused("app.source", f"pyproject.toml or uv.lock is not TOML: {error}") from None
    if not locked and not lines.strip() and not tables.keys() & {"project", "build-system"}:
        raise AppRefused(
            "app.source",
            f'"{folder}" does not say what to install',
            allowed="uv.lock with pyproject.toml, requirements.txt, or pyproject.toml with [project]",
            do="write one, for example: uv pip freeze > requirements.txt",
        )
    where = "uv.lock" if locked else "requirements.txt"
    for package, oldest in server.oldest_safe.items():
        found = next((p["version"] for p in locked.get("package", []) if p["name"] == package), None)
        if not locked and (match := re.search(rf"(?im)^\s*{package}\s*===?\s*([0-9.]+)", lines)):
            found = match[1]
        if found and _version(found) < _version(oldest):
            raise AppRefused(
                "app.source",
                f"{package} {found} has known security holes",
                allowed=f"{oldest} or newer",
                do=f"raise it in {where}, or leave it out: the host brings its own",
            )
        if found and package in server.too_new and _version(found) >= _version(server.too_new[package]):
            raise AppRefused(
                "app.source",
                f"{package} {found} no longer has the worker_class that app.server asks for",
                allowed=f"older than {server.too_new[package]}",
                do=f"lower it in {where}, leave it out (the host brings its own), or choose gthread or gevent",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


# ---- the manifest ----


class HealthSettings(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def timeout(self) -> int: ...


class AppSettings(Protocol):
    """What of the stack's `app` section the manifest is made from."""

    @property
    def entrypoint(self) -> str: ...
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


def manifest(code: Code, app: AppSettings, hostname: str) -> Mapping[str, Any]:
    """What `release deploy` reads on the host, without the environment, which is secret and joins it on the way."""
    server = servers.name(app.server)
    return {
        "source": code.source,
        **code.located(),
        "run": servers.argv(app.server, app.entrypoint),
        "requirements": servers.requirements(server),
        "packages": list(servers.SERVERS[server].packages),
        # So that a release command is written as at home: flask db upgrade.
        "variables": {} if "." in app.entrypoint.partition(":")[2].partition("(")[0] else {"FLASK_APP": app.entrypoint},
        "health": {"path": app.health.path, "host": hostname, "timeout": app.health.timeout},
        "release_command": list(app.release_command) if app.release_command else None,
        "release_timeout": app.release_timeout,
        "keep": app.keep,
        "drain": app.drain,
        "maintenance_page": app.maintenance_page,
    }
