"""Apps written for other platforms: where each says its WSGI callable is, and which Python it wants."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from provisioning.inspection import AppRefused, instead, modules_with_an_app, top_level_names

HOST_PYTHON = "3.13"
"""Debian 13's."""

_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?")
_EB_OPTIONS = "aws:elasticbeanstalk:container:python"


def entrypoint(folder: Path) -> str:
    """What the folder's own files for another platform say, as `app.entrypoint` is written.

    Procfile (Heroku), .ebextensions (Elastic Beanstalk), a WSGI file with `application` (PythonAnywhere). Raises
    AppRefused where none says it, or two say different things.
    """
    found = dict([*_procfile(folder), *_elastic_beanstalk(folder), *_wsgi_files(folder)])
    if len(set(found.values())) > 1:
        said = ", ".join(f"{where} says {what}" for where, what in found.items())
        raise AppRefused("app.entrypoint", f"is missing, and {said}", do="write the one that is meant")
    if not found:
        dockerfile = (folder / "Dockerfile").is_file()
        raise AppRefused(
            "app.entrypoint",
            f'is missing, and nothing in "{folder}" says it'
            + "; its Dockerfile is not used: the app runs from its requirements, without a container" * dockerfile,
            allowed="a Procfile's web: line, WSGIPath in .ebextensions, a WSGI file with `application`, or the setting",
            do=instead(modules_with_an_app(folder)),
        )
    return next(iter(found.values()))


def notices(folder: Path) -> Iterator[str]:
    """What is different here, one plain line each."""
    for name in ("runtime.txt", ".python-version"):
        if (folder / name).is_file():
            wanted = re.search(r"(\d+\.\d+)", (folder / name).read_text(errors="replace"))
            if wanted and wanted[1] != HOST_PYTHON:
                yield f"app: {name} asks for Python {wanted[1]}; the host has Debian's {HOST_PYTHON} and uses that"


def _procfile(folder: Path) -> Iterator[tuple[str, str]]:
    """https://devcenter.heroku.com/articles/procfile; Elastic Beanstalk reads one too."""
    if not (folder / "Procfile").is_file():
        return
    lines = (folder / "Procfile").read_text(errors="replace").splitlines()
    line = next((line.partition(":")[2].strip() for line in lines if re.match(r"web\s*:", line)), "")
    if not line:
        return
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise AppRefused("app.source", f"Procfile: the web line can't be split into words ({error})") from None
    named = [word + "()" * ("--call" in words and "(" not in word) for word in words if _CALLABLE.fullmatch(word)]
    if not named and Path(words[0]).name == "gunicorn" and re.fullmatch(r"[A-Za-z_][\w.]*", words[-1]):
        named = [f"{words[-1]}:application"]  # Gunicorn's own default
    if len(named) != 1:
        raise AppRefused(
            "app.entrypoint",
            f'is missing, and the Procfile\'s "web: {line}" names {"more than one" if named else "no"} WSGI callable',
            do=instead(named or modules_with_an_app(folder)),
        )
    yield "Procfile", named[0]


def _elastic_beanstalk(folder: Path) -> Iterator[tuple[str, str]]:
    """WSGIPath of .ebextensions/*.config, in either of its two forms. The last file wins, as there.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create-deploy-python-container.html
    """
    for file in sorted((folder / ".ebextensions").glob("*.config"), reverse=True):
        try:
            document = yaml.safe_load(file.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0]
            raise AppRefused("app.source", f".ebextensions/{file.name} is not YAML: {reason}") from None
        path = _wsgi_path(document.get("option_settings") if isinstance(document, dict) else None)
        if path:
            # A file's name means its `application`, and so does a module's alone.
            yield f".ebextensions/{file.name}", path if path.endswith(".py") or ":" in path else f"{path}:application"
            return


def _wsgi_path(options: Any) -> str | None:
    if isinstance(options, dict):
        namespace = options.get(_EB_OPTIONS)
        path = namespace.get("WSGIPath") if isinstance(namespace, dict) else None
        return path and str(path)
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict) and (option.get("namespace"), option.get("option_name")) == (
            _EB_OPTIONS,
            "WSGIPath",
        ):
            return str(option.get("value"))
    return None


def _wsgi_files(folder: Path) -> Iterator[tuple[str, str]]:
    """https://help.pythonanywhere.com/pages/Flask/: <user>_pythonanywhere_com_wsgi.py; elsewhere mostly wsgi.py."""
    for file in sorted({*folder.glob("wsgi.py"), *folder.glob("*_wsgi.py")}):
        if "application" in top_level_names(file):
            yield file.name, f"{file.stem}:application"
