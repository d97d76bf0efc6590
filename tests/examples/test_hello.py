"""The example app, in an environment of its own, built from its own pinned requirements as a host builds it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HELLO = Path(__file__).resolve().parents[2] / "examples/hello"
ANSWERS = """
import json
from hello import app

visitor = app.test_client()
site = {"base_url": "https://example.com"}
print(json.dumps({
    "page": visitor.get("/", **site).text,
    "again": visitor.get("/", **site).text,
    "cookie": visitor.get("/", **site).headers["Set-Cookie"],
    "style": visitor.get("/static/hello.css", **site).status_code,
    "health": visitor.get("/health", **site).json,
    "whoami": visitor.get("/whoami?a=b", headers={"X-Asked": "yes"}, **site).json,
    "slow": visitor.get("/slow?seconds=0.05", **site).json,
    "slow_wrong": [visitor.get(f"/slow?seconds={wrong}", **site).status_code for wrong in ("nan", "inf", "-1")],
    "echo": visitor.post("/echo", data=b"x" * 100_000, **site).json,
    "echo_get": visitor.get("/echo", **site).status_code,
}))
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python code beside the app, with its requirements and nothing else."""
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    assert uv, "uv is missing; it comes with the development requirements"
    argv = [uv, "run", "-q", "--no-project", "--isolated", "--python", sys.executable]
    argv += ["--with-requirements", "requirements.txt", "python", "-c", code]
    base = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "RELEASE", "GREETING")}
    return subprocess.run(
        argv, cwd=HELLO, env=base | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    done = run(ANSWERS, SECRET_KEY="k" * 32, RELEASE="0007-abcdef012345", GREETING="<Ahoy>")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_shows_release_address_scheme_and_host(answers: dict[str, Any]) -> None:
    for part in ("0007-abcdef012345", "127.0.0.1", "https", "example.com", "&lt;Ahoy&gt;"):
        assert part in answers["page"]
    assert '<dd id="visits">1</dd>' in answers["page"] and '<dd id="visits">2</dd>' in answers["again"]
    assert "//" not in answers["page"].replace("<!doctype html>", ""), "the page loads nothing from elsewhere"
    assert answers["style"] == 200


def test_the_session_cookie_is_shut(answers: dict[str, Any]) -> None:
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(answers["cookie"].split("; "))


def test_it_says_who_it_saw(answers: dict[str, Any]) -> None:
    seen = answers["whoami"]
    assert (seen["remote_addr"], seen["scheme"], seen["host"]) == ("127.0.0.1", "https", "example.com")
    assert seen["url"] == "https://example.com/whoami?a=b"
    assert ["X-Asked", "yes"] in seen["headers"]
    assert "Cookie" not in dict(seen["headers"])
    assert seen["environ"]["REMOTE_ADDR"] == "127.0.0.1"
    assert answers["health"] == {"status": "ok", "release": "0007-abcdef012345"}


def test_slow_and_echo(answers: dict[str, Any]) -> None:
    assert answers["slow"]["slept"] == 0.05
    assert answers["slow_wrong"] == [400, 400, 400]
    assert answers["echo"]["length"] == 100_000
    assert answers["echo"]["sha256"] == hashlib.sha256(b"x" * 100_000).hexdigest()
    assert answers["echo_get"] == 405


def test_it_does_not_start_without_its_key() -> None:
    done = run("import hello")
    assert done.returncode != 0 and "SECRET_KEY" in done.stderr


def test_requirements_are_pinned_and_name_no_index() -> None:
    text = (HELLO / "requirements.txt").read_text()
    pins = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert any(pin.startswith("flask==") for pin in pins)
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins) and "://" not in text and "index" not in text
