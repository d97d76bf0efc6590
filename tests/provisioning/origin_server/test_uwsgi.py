from __future__ import annotations

import re

import pytest

from origin_server import spec, uwsgi

GIVEN = spec.Spec("uwsgi", "app:app", "/run/app/1/http.sock", True, {"harakiri": 120}, {"processes": 77})


@pytest.mark.parametrize("protocol", ["http", "uwsgi"])
def test_its_own_protocol_has_a_socket_of_its_own_and_only_if_asked_for(protocol: str) -> None:
    given = spec.Spec("uwsgi", "app:app", "/run/app/1/http.sock", False, {}, {"protocol": protocol})
    lines = uwsgi.configuration(given, "[uwsgi]\nuwsgi-socket = :3031\nsocket = :3032\n").splitlines()
    assert [line for line in lines if re.match("[a-z-]*socket = [/:]", line)] == [
        "http-socket = /run/app/1/http.sock",
        *["uwsgi-socket = /run/app/1/uwsgi/app.sock"] * (protocol == "uwsgi"),
    ]
    assert "chmod-socket = 660" in lines
    assert not [line for line in lines if line.startswith("protocol")]


def test_what_comes_later_wins() -> None:
    lines = uwsgi.configuration(GIVEN, "[uwsgi]\nharakiri = 20\nprocesses = 9\ncustom = 1\n").splitlines()
    at = lines.index
    assert at("harakiri = 120") < at("harakiri = 20")
    assert at("processes = 9") < at("processes = 77") < at("http-socket = /run/app/1/http.sock")
    assert "custom = 1" in lines


@pytest.mark.parametrize(
    "line",
    [
        "socket = 127.0.0.1:3031", "http = :5000", "http-socket=:80", "https = :443,a,b", "uwsgi-socket = /x",
        "uid = root", "gid=root", "chmod-socket = 666", "chmod_socket = 666", "daemonize = /var/log/x", "logto = /x",
        "module = evil:app", "wsgi-file = x.py", "callable = x", "home = /x", "virtualenv = /x", "chdir = /",
        "  socket = x", "stats = :1717", "pidfile = /x", "emperor = /x", "touch-reload = /x", "master = false",
        "fastrouter = :1", "mount = /=x", "file = x", "pythonpath = /x", "http_socket = :1",
    ],
)  # fmt: skip
def test_who_listens_where_and_as_whom_is_not_the_app_s(line: str) -> None:
    assert list(uwsgi.own(f"[uwsgi]\n{line}\n")) == []


@pytest.mark.parametrize(
    "line", ["threads = 4", "max-requests = 1000", "env = A=b", "harakiri = 3", "cheaper = 2", "buffer-size = 32768"]
)
def test_the_rest_is(line: str) -> None:
    assert list(uwsgi.own(f"# c\n[other]\nx = 1\n[uwsgi]\n; c\n\n{line}\n")) == [line]
