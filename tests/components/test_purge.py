"""Cloudflare's cache is emptied once for each release, on the stand-in account and by the script alone."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components import zone_script
from rehearsal import providers
from rehearsal.cloud.world import World
from rehearsal.engine import Engine
from rehearsal.providers.account import TOKEN
from rehearsal.providers.cloudflare import http_api, zones
from tests.rehearsal.engine.mem import good

PROGRAM = """
import pulumi
from components.purge import Purge, PurgeArgs

config = pulumi.Config("flask-origin")
args = PurgeArgs(zone_id=config.require("zone"), hosts=[config.require("host")], release=config.require("release"))
Purge("purge", args, after=[])
"""


class Stack:
    def __init__(self, folder: Path) -> None:
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(PROGRAM)
        self.program = folder / "program"
        self.world = World(folder / "world")
        self.zone_id = zones.seed_zone(self.world, "example.com")
        resources, functions = providers.resources(self.world), providers.functions(self.world)
        self.engine = Engine(folder / "engine", "flask-origin", "dev", resources, functions)

    def up(self, release: str, host: str = "www.example.com") -> Any:
        written = {"zone": self.zone_id, "host": host, "release": release}
        return self.engine.up(self.program, {f"flask-origin:{key}": value for key, value in written.items()})

    @property
    def purges(self) -> list[list[str]]:
        return [purge["hosts"] for purge in self.world.store.items(http_api.PURGES).values()]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    return Stack(tmp_path)


def test_each_release_is_followed_by_one_purge(stack: Stack) -> None:
    good(stack.up("0001"))
    assert good(stack.up("0001")) == []
    assert stack.purges == [["www.example.com"]]
    good(stack.up("0002"))
    assert stack.purges == [["www.example.com"]] * 2
    good(stack.engine.destroy())
    assert len(stack.purges) == 2


def test_what_is_refused_is_said_and_tried_again_by_the_next_up(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    good(stack.up("0001"))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", http_api.READ_ONLY)
    failed = stack.up("0002")
    (error,) = failed.errors
    assert (
        "edge.purge_after_release: the release is live, but the cache of www.example.com was not purged" in error.text
    )
    assert "Cache Purge" in error.text
    assert http_api.READ_ONLY not in error.text
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    good(stack.up("0002"))
    assert len(stack.purges) == 2


def test_another_s_host_is_refused(stack: Stack) -> None:
    assert "not in the zone" in stack.up("0001", host="example.org").errors[0].text
    assert stack.purges == []


def test_the_token_is_not_kept(stack: Stack) -> None:
    good(stack.up("0001"))
    assert TOKEN not in json.dumps(stack.engine.state())


@contextmanager
def cloudflare(*answers: int, retry_after: str = "") -> Iterator[tuple[str, list[str]]]:
    """One that answers with these statuses in turn; its address, and what was asked."""
    left, asked = list(answers), list[str]()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            body = b'{"result": {}}'
            self.send_response(left.pop(0))
            self.send_header("Content-Length", str(len(body)))
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answers", "code"), [((200,), 0), ((429, 503, 200), 0), ((403,), 1), ((429, 500, 429, 500, 429), 1)]
)
def test_what_passes_is_waited_for(
    answers: tuple[int, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(zone_script.time, "sleep", slept.append)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("ZONE", "z")
    with cloudflare(*answers) as (address, asked):
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", address)
        assert zone_script.purge(["example.com"]) == code
    assert asked == ['{"hosts": ["example.com"]}'] * len(answers)
    assert slept == list(zone_script.PAUSES[: len(answers) - 1])
    printed = capsys.readouterr()
    assert printed.out == ("" if code else "purged: example.com\n")
    assert TOKEN not in printed.err


@pytest.mark.parametrize(("said", "slept"), [("12", 12), ("1", 2), ("3600", 60), ("Fri, 27 Nov 2026 21:00:00 GMT", 2)])
def test_as_long_as_cloudflare_says_within_reason(said: str, slept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(zone_script.time, "sleep", pauses.append)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("ZONE", "z")
    with cloudflare(429, 200, retry_after=said) as (address, _):
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", address)
        assert zone_script.purge(["example.com"]) == 0
    assert pauses == [slept]
