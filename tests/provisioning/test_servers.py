from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from provisioning import servers
from settings.server import Server

WRITTEN: dict[str, dict[str, Any]] = {
    "waitress": {"kind": "waitress"},
    "gunicorn": {"kind": "gunicorn"},
    "gunicorn-gevent": {"kind": "gunicorn", "worker_class": "gevent"},
    "gunicorn-eventlet": {"kind": "gunicorn", "worker_class": "eventlet"},
    "uwsgi": {"kind": "uwsgi"},
    "uwsgi-gevent": {"kind": "uwsgi", "gevent": 100},
    "granian": {"kind": "granian"},
    "gevent": {"kind": "gevent"},
    "eventlet": {"kind": "eventlet"},
    "twisted": {"kind": "twisted"},
    "mod_wsgi": {"kind": "mod_wsgi"},
}
"""What a stack writes to get each row of SERVERS."""
PINNED = [name for name, row in servers.SERVERS.items() if not row.packages]


def chosen(written: dict[str, Any]) -> Any:
    return TypeAdapter(Server).validate_python(written)


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def test_every_server_can_be_chosen() -> None:
    assert WRITTEN.keys() == servers.SERVERS.keys()
    for name, written in WRITTEN.items():
        assert servers.name(chosen(written)) == name


@pytest.mark.parametrize("name", PINNED)
def test_every_package_is_pinned_at_a_safe_version(name: str) -> None:
    pinned = {}
    for line in servers.requirements(name):
        found = re.fullmatch(r"([a-z-]+)==(\S+?)(?: ; \S.*?)?( --hash=sha256:[0-9a-f]{64})+", line)
        assert found, line
        pinned[found[1]] = found[2]
    row = servers.SERVERS[name]
    assert pinned.keys() & row.oldest_safe.keys()
    for package in pinned.keys() & row.oldest_safe.keys():
        assert version(pinned[package]) >= version(row.oldest_safe[package])
    for package, first in row.too_new.items():
        assert version(pinned[package]) < version(first)
    if "greenlet" in pinned:
        assert version(pinned["greenlet"]) >= (1,)


@pytest.mark.parametrize("name", PINNED)
def test_what_is_compiled_is_what_is_asked_for(name: str) -> None:
    asked = (servers.PINS / f"{name}.in").read_text().splitlines()
    got = [line.split()[0] for line in servers.requirements(name)]
    assert {line for line in asked if not line.startswith("#")} <= set(got)


def test_only_what_the_stack_writes_wins_over_the_app_s_own_file() -> None:
    python, *module, spec = servers.argv(chosen({"kind": "gunicorn", "workers": 3, "timeout": 120}), "app:app")
    assert (python, module) == ("{venv}/bin/python", ["-m", "origin_server"])
    told = json.loads(spec)
    assert told["options"] == {"workers": 3, "timeout": 120}
    assert told["defaults"]["worker_class"] == "gthread"
    assert not {"workers", "timeout", "kind", "access_log"} & told["defaults"].keys()
    assert (told["server"], told["entrypoint"], told["socket"]) == ("gunicorn", "app:app", "{socket}")
