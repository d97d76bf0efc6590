"""An app's folder looked over without running it; the same words here, before anything is made, and on the host.

Standard library only: the host's release tool runs this file on what it fetched.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class AppRefused(ValueError):
    """The app can't be released as it is. One line: the setting, its value, what is allowed, what to do."""

    def __init__(self, key: str, problem: str, *, allowed: str = "", do: str = "") -> None:
        parts = (f"{key}: {problem}", allowed and f"allowed: {allowed}", do and f"do: {do}")
        super().__init__("; ".join(part for part in parts if part))


def unreadable(path: Path, error: OSError) -> AppRefused:
    return AppRefused("app.source", f'"{path}": {error.strerror}', do="make it readable, or list it in app.exclude")


def no_folder(folder: Path) -> AppRefused:
    found = "is a file" if folder.exists() else "does not exist"
    return AppRefused("app.source", f'"{folder}" {found}', allowed="the app's folder")


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Packages of the server, with the first version without a known hole, and with the first that will not do."""

    oldest_safe: Mapping[str, str]
    too_new: Mapping[str, str]


def inspect(folder: Path, entrypoint: str, versions: Versions, *, files: Mapping[str, str]) -> None:
    """What can be known without running the app: it says what to install, and `entrypoint` and `files` are there.

    `files` are paths in the folder, by the setting that names them; of app.static's, folders will do.

    Raises AppRefused. Nothing is imported, so names that come from `import *` or `__getattr__` are believed.
    """
    if not folder.is_dir():
        raise no_folder(folder)
    _check_requirements(folder, versions)
    for key, path in files.items():
        static = key.startswith("app.static")
        if not (folder / path).is_file() and not (static and (folder / path).is_dir()):
            raise AppRefused(key, f'"{path}" is not a file{" or folder" * static} in "{folder}"')
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
            do=instead(modules_with_an_app(folder)),
        )
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        raise unreadable(file, error) from None
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
            do=instead([f"{module}:{found}" for found in apps(tree)]),
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


def apps(tree: ast.Module) -> Iterator[str]:
    """What looks like an app or a factory, as the part after the colon."""
    for name, what in _bound(tree.body):
        if isinstance(what, ast.Call) and ast.unparse(what.func).endswith("Flask"):
            yield name
        elif (
            isinstance(what, ast.FunctionDef) and re.fullmatch(r"(create|make)_app", name) and not _required(what.args)
        ):
            yield f"{name}()"


def top_level_names(file: Path) -> set[str]:
    """What a module binds; nothing for one that is not Python."""
    try:
        return {name for name, _ in _bound(ast.parse(file.read_bytes()).body)}
    except (OSError, SyntaxError, ValueError):
        return set()


def modules_with_an_app(folder: Path) -> Iterator[str]:
    for base in (folder, folder / "src"):
        for file in sorted([*base.glob("*.py"), *base.glob("*/__init__.py")]):
            module = file.parent.name if file.name == "__init__.py" else file.stem
            try:
                tree = ast.parse(file.read_bytes())
            except (OSError, SyntaxError, ValueError):
                continue
            yield from (f"{module}:{name}" for name in apps(tree))


def instead(found: Iterator[str] | Sequence[str]) -> str:
    choices = list(dict.fromkeys(found))[:3]
    return f"write {' or '.join(choices)}" if choices else "name the module and the callable in it"


def _module_file(folder: Path, module: str) -> Path | None:
    place = Path(*module.split("."))
    candidates = (
        base / file for base in (folder, folder / "src") for file in (place.with_suffix(".py"), place / "__init__.py")
    )
    return next((file for file in candidates if file.is_file()), None)


def _check_requirements(folder: Path, versions: Versions) -> None:
    """That the host will find what to install, as the release tool looks for it, and no server with known holes."""
    project, lock, pinned = (folder / name for name in ("pyproject.toml", "uv.lock", "requirements.txt"))
    try:
        tables = tomllib.loads(project.read_text()) if project.is_file() else {}
        locked = tomllib.loads(lock.read_text()) if project.is_file() and lock.is_file() else {}
        lines = pinned.read_text(errors="replace") if pinned.is_file() else ""
    except OSError as error:
        raise unreadable(Path(error.filename), error) from None
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
    for package, oldest in versions.oldest_safe.items():
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
        if found and package in versions.too_new and _version(found) >= _version(versions.too_new[package]):
            raise AppRefused(
                "app.source",
                f"{package} {found} no longer has the worker_class that app.server asks for",
                allowed=f"older than {versions.too_new[package]}",
                do=f"lower it in {where}, leave it out (the host brings its own), or choose gthread or gevent",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    floors = Versions(oldest_safe=asked["oldest_safe"], too_new=asked["too_new"])
    try:
        inspect(Path(sys.argv[1]), asked["entrypoint"], floors, files=asked["files"])
    except AppRefused as refused:
        sys.exit(str(refused))
