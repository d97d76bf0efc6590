"""WSGI servers: what each is told, and the pinned packages that the host installs where the app does not bring them.

A server listens on the release's own unix socket, which only the proxy may open, and trusts exactly that one hop. How
each is started on the host stands in files/usr/local/lib/origin/origin_server, a module for each kind. A further server
is one module there, one row of SERVERS, one file in pins/ and one model in the settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

PINS = Path(__file__).parent / "pins"
"""<server>.in, and what `make lock` compiles of it for the host's Python: exact versions and hashes."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What is known of the packages of one server, for those that an app brings itself."""

    oldest_safe: Mapping[str, str]
    """Package -> the first version without a known hole that a request can reach."""
    packages: tuple[str, ...] = ()
    """Debian packages, for a server that comes from there and not from the index."""
    too_new: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Package -> the first version that no longer has what is asked for."""


# Smuggling by Transfer-Encoding: CVE-2024-1135 (22.0.0) and CVE-2024-6827 (23.0.0).
_GUNICORN = {"gunicorn": "23.0.0"}
# pywsgi read trailers as requests: CVE-2023-41419.
_GEVENT = {"gevent": "23.9.0"}
# The same: CVE-2025-58068.
_EVENTLET = {"eventlet": "0.40.3"}
# Advisories count everything before as open to CVE-2023-27522, though the hole is in the Apache module beside it; its
# own last one, CVE-2018-7490 (2.0.17), is in its PHP. https://uwsgi-docs.readthedocs.io/en/latest/Changelog-2.0.22.html,
# https://github.com/pypa/advisory-database/tree/main/vulns/uwsgi
_UWSGI = {"pyuwsgi": "2.0.22", "uwsgi": "2.0.22"}

SERVERS: Mapping[str, Server] = MappingProxyType(
    {
        # CVE-2024-49768 (request smuggling) and CVE-2024-49769 (busy loop).
        "waitress": Server(oldest_safe={"waitress": "3.0.1"}),
        "gunicorn": Server(oldest_safe=_GUNICORN),
        "gunicorn-gevent": Server(oldest_safe=_GUNICORN | _GEVENT),
        "gunicorn-eventlet": Server(oldest_safe=_GUNICORN | _EVENTLET, too_new={"gunicorn": "26.0.0"}),
        "uwsgi": Server(oldest_safe=_UWSGI),
        "uwsgi-gevent": Server(oldest_safe=_UWSGI | _GEVENT),
        # An answer with a malformed header ended the worker, also one that echoes a visitor: CVE-2026-42545.
        # https://advisories.gitlab.io/pkg/pypi/granian/, https://app.opencve.io/cve/CVE-2026-42545
        "granian": Server(oldest_safe={"granian": "2.7.4"}),
        "gevent": Server(oldest_safe=_GEVENT),
        "eventlet": Server(oldest_safe=_EVENTLET),
        # Answers in the wrong order: CVE-2024-41671.
        "twisted": Server(oldest_safe={"twisted": "24.7.0"}),
        "mod_wsgi": Server(oldest_safe={}, packages=("libapache2-mod-wsgi-py3",)),
    }
)


class ServerSettings(Protocol):
    """One of the settings' models of servers, as pydantic shows them."""

    @property
    def kind(self) -> str: ...
    @property
    def access_log(self) -> bool: ...
    @property
    def model_fields_set(self) -> Set[str]: ...
    def model_dump(self) -> dict[str, Any]: ...


def name(settings: ServerSettings) -> str:
    """The row of SERVERS: its kind, and the loop that it runs on where that is another package."""
    values = settings.model_dump()
    loop = "gevent" if values.get("gevent") else values.get("worker_class")
    return f"{settings.kind}-{loop}" if loop in ("gevent", "eventlet") else settings.kind


def requirements(name: str) -> list[str]:
    """Lines of a requirements file, one package each, all that the server needs: exact version and hashes."""
    if SERVERS[name].packages:
        return []
    text = (PINS / f"{name}.txt").read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def argv(settings: ServerSettings, entrypoint: str, rate_limit: Mapping[str, Any] | None = None) -> list[str]:
    """What starts it, with the release tool's placeholders {venv} and {socket}.

    `rate_limit`: requests, seconds, burst and paths, for each visitor.
    """
    values = settings.model_dump()
    options = {key: value for key, value in values.items() if key not in ("kind", "access_log") and value is not None}
    spec = {
        "server": settings.kind,
        "entrypoint": entrypoint,
        "socket": "{socket}",
        "access_log": settings.access_log,
        "defaults": {key: value for key, value in options.items() if key not in settings.model_fields_set},
        "options": {key: value for key, value in options.items() if key in settings.model_fields_set},
        "rate_limit": rate_limit,
    }
    return ["{venv}/bin/python", "-m", "origin_server", json.dumps(spec)]
