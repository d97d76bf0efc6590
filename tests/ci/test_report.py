"""What the report posts and logs: everything that was said, and no canary in any form."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPORT = Path(__file__).parents[2] / ".ci/report.py"
CANARY = 'canary "päss" &/+\nsecond-canary-line'
NESTED = "nested-canary-in-a-section"
OUTPUT = "canary-of-an-output"
TOKEN = "canary-token-of-this-job"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nY2FuYXJ5IGtleQ\n-----END OPENSSH PRIVATE KEY-----"
ORIGIN = {"ipv4": "198.51.100.77", "ipv6": "2001:db8:77::77"}

CONFIG = {
    "flask-origin:secrets": {"value": json.dumps({"DATABASE_URL": CANARY, "MORE": {"DEEP": NESTED}}), "secret": True},
    "flask-origin:site": {"value": '{"hostname": "app.example.com"}', "secret": False},
}
WRITTEN = [
    "  ~ hostname: app.example.com",
    f"plain {CANARY}",
    f"json {json.dumps({'v': CANARY})}",
    f"url {urllib.parse.quote(CANARY, safe='')} {urllib.parse.quote_plus(CANARY)}",
    f"base64 {base64.b64encode(CANARY.encode()).decode()}",
    f"{NESTED} {OUTPUT} {TOKEN}",
    KEY,
    *ORIGIN.values(),
    "```` @everyone",
    "the end",
]
LEAKS = ["canary", "päss", "Y2FuYXJ5", "198.51.100.77", "2001:db8:77::77"]


class Forge(BaseHTTPRequestHandler):
    """Keeps comments and issues as a forge does."""

    kept: list[dict[str, Any]]
    asked: list[tuple[str, str, str]]

    def answer(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        self.asked.append((self.command, self.path, token))
        if self.command == "POST":
            self.kept.append({"id": len(self.kept) + 1, "number": 7, "iid": 7, **data})
        elif self.command != "GET":
            self.kept[0].update(data)
        text = json.dumps(self.kept if self.command == "GET" else self.kept[0]).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def forge() -> Iterator[tuple[type[Forge], str]]:
    fresh = type("Fresh", (Forge,), {"kept": [], "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), fresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield fresh, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A `pulumi` that answers what the report asks, and a `make` that says all that it should not."""
    outputs = {**ORIGIN, "deploy_key": OUTPUT}
    answers = {"config": CONFIG, "open": outputs, "masked": {**outputs, "deploy_key": "[secret]"}}
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    (tmp_path / "written").write_text("\n".join(WRITTEN) + "\n")
    pulumi = f"""#!{sys.executable}
import json, pathlib, sys
answers = json.loads((pathlib.Path(__file__).parent / "answers.json").read_text())
kind = "config" if sys.argv[1] == "config" else "open" if "--show-secrets" in sys.argv else "masked"
sys.exit("no passphrase") if answers[kind] is None else print(json.dumps(answers[kind]))
"""
    make = f'#!/bin/sh\ncat "{tmp_path}/written"\ntouch "{tmp_path}/ran"\nexit ${{MADE:-0}}\n'
    for name, text in {"pulumi": pulumi, "make": make}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def report(tools: Path, url: str, where: str, target: str, **more: str) -> subprocess.CompletedProcess[str]:
    github = {"GITHUB_API_URL": url, "GITHUB_REPOSITORY": "me/site", "GITHUB_TOKEN": TOKEN, "PULL_REQUEST": "5"}
    env = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONUTF8": "1",
        **(more if "GITLAB_CI" in more else github | more),
    }
    words = [sys.executable, str(REPORT), where, "--", "make", target, "STACK=production"]
    return subprocess.run(words, env=env, capture_output=True, text=True)


def gitlab(url: str) -> dict[str, str]:
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": url,
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "5",
        "REPORT_TOKEN": TOKEN,
    }


@pytest.mark.parametrize("on", ["github", "gitlab"])
def test_no_canary_is_posted_or_logged(tools: Path, forge: tuple[type[Forge], str], on: str) -> None:
    kept, url = forge
    for _ in range(2):  # the second time the comment is brought up to date
        ran = report(tools, url, "pull-request", "preview", **(gitlab(url) if on == "gitlab" else {}))
        assert ran.returncode == 0, ran.stderr
        assert [leak for leak in LEAKS if leak in ran.stdout + ran.stderr] == []
    (comment,) = kept.kept
    assert [leak for leak in LEAKS if leak in comment["body"]] == []
    assert "hostname: app.example.com" in comment["body"]
    assert "the end" in comment["body"]
    assert comment["body"].count("`````") == 2, "the output can't close its fence"
    posts, updates = ("POST", "PUT" if on == "gitlab" else "PATCH")
    assert [method for method, *_ in kept.asked] == ["GET", posts, "GET", updates]
    assert all(TOKEN in token and TOKEN not in path for _, path, token in kept.asked)


@pytest.mark.parametrize("on", ["github", "gitlab"])
def test_drift_opens_one_issue_and_fails(tools: Path, forge: tuple[type[Forge], str], on: str) -> None:
    kept, url = forge
    more = gitlab(url) if on == "gitlab" else {}
    assert report(tools, url, "issue", "drift", **more).returncode == 0
    assert kept.asked == []
    for _ in range(2):
        assert report(tools, url, "issue", "drift", MADE="255", **more).returncode == 255
    (issue,) = kept.kept
    assert "failed (255)" in (issue.get("body") or issue["description"])
    assert [leak for leak in LEAKS if leak in json.dumps(issue, ensure_ascii=False)] == []


def test_nothing_is_run_when_the_secrets_can_t_be_read(tools: Path, forge: tuple[type[Forge], str]) -> None:
    kept, url = forge
    (tools / "answers.json").write_text(json.dumps({"config": None}))
    ran = report(tools, url, "pull-request", "preview")
    assert ran.returncode == 1
    assert "no passphrase; nothing was run" in ran.stderr
    assert not (tools / "ran").exists()
    assert kept.asked == []


def test_a_forge_that_does_not_answer_fails_the_job(tools: Path) -> None:
    ran = report(tools, "http://127.0.0.1:9", "pull-request", "preview")
    assert ran.returncode == 1
    assert "could not be posted" in ran.stderr


def test_a_long_output_is_cut_after_it_is_masked(tools: Path, forge: tuple[type[Forge], str]) -> None:
    kept, url = forge
    (tools / "written").write_text("".join(f"{n} {NESTED}\n" for n in range(5000)) + "the end\n")
    assert report(tools, url, "pull-request", "preview").returncode == 0
    assert len(kept.kept[0]["body"]) < 65_536
    assert "canary" not in kept.kept[0]["body"]
    assert "the end" in kept.kept[0]["body"]
