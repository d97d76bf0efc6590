#!/usr/bin/env python3
"""Run a command and tell its outcome where the team looks, with nothing in it that is not for everybody's eyes.

    .ci/report.py pull-request -- make preview STACK=production    as one comment, kept current; GitLab: merge request
    .ci/report.py issue -- make drift STACK=production             as one open issue, only when the command fails
    .ci/report.py log -- make up STACK=production                  in the job's log alone

Ends as the command did. The engine masks what it knows to be secret. Masked here besides, in the job's log too: the
secrets of the stack's configuration and outputs wherever they turn up, encoded too (a cloud's error message may quote
one), this job's own credentials, private keys, and the origin's addresses. When the stack's secrets can't be read
nothing is run: what is not known can't be masked. Standard library only.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LONGEST = 60_000
"""Characters of a comment; GitHub takes 65,536."""
SHORTEST = 4
"""Shorter secrets are parts of words, and too short to be any."""
_CREDENTIAL = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|_KEY|PRIVATE")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
SECRET, ORIGIN = "[secret]", "[origin]"


def texts(value: object) -> Iterator[str]:
    """Every text in decoded JSON, also in texts that are JSON."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif value is not None and not isinstance(value, bool):
        yield (text := str(value))
        if text[:1] in ("{", "["):
            try:
                yield from texts(json.loads(text))
            except ValueError:
                return


def forms(secret: str) -> Iterator[str]:
    """The ways in which a secret may be written: plain, line by line, in JSON, in an address, in base64."""
    yield secret
    yield from secret.splitlines()
    yield json.dumps(secret)[1:-1]
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def masked(text: str, secrets: Iterable[str], origin: Iterable[str]) -> str:
    """The text without secrets and the origin's addresses. The longest goes first, so that none leaves a rest."""
    text = _PRIVATE_KEY.sub(SECRET, text)
    hidden = {form.strip() for secret in secrets for form in forms(secret)}
    for form in sorted(hidden, key=len, reverse=True):
        if len(form) >= SHORTEST:
            text = text.replace(form, SECRET)
    for address in origin:
        text = text.replace(address, ORIGIN)
    return text


def parts(output: Iterable[str]) -> Iterator[str]:
    """The output line by line, a private key as one part."""
    key = ""
    for line in output:
        key += line if key or "PRIVATE KEY-----" in line else ""
        if not key:
            yield line
        elif "-----END" in line:
            yield key
            key = ""
    yield key


def body(title: str, command: str, output: str, code: int) -> str:
    """Markdown: what was run, how it ended, and the end of its output in a fence that nothing in it can close."""
    cut = output if len(output) <= LONGEST else f"…\n{output[-LONGEST:]}"
    longest = max((len(run) for run in re.findall(r"`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    ended = "done" if code == 0 else f"failed ({code})"
    return f"{marker(title)}\n### {title}: {ended}\n\n`{command}`\n\n{fence}\n{cut}\n{fence}\n"


def marker(title: str) -> str:
    """By which a comment is found again."""
    return f"<!-- flask-origin: {title} -->"


class Unreadable(Exception):
    """The stack's secrets can't be read, and so not masked."""


def asked(*words: str) -> dict[str, Any]:
    """What the engine says in JSON. Raises Unreadable."""
    ran = subprocess.run(["pulumi", *words, "--json", "--non-interactive"], capture_output=True, text=True)
    if ran.returncode:
        raise Unreadable(f"pulumi {words[0]} failed: {ran.stderr.strip()}")
    return json.loads(ran.stdout or "{}")


def hidden(stack: str, environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """All secrets that a job of this stack has, and the origin's addresses. Raises Unreadable."""
    config = asked("config", "--show-secrets", "--stack", stack)
    outputs = asked("stack", "output", "--show-secrets", "--stack", stack)
    shown = asked("stack", "output", "--stack", stack)
    secrets = [*texts([setting.get("value") for setting in config.values() if setting.get("secret")])]
    secrets += texts([value for name, value in outputs.items() if shown.get(name) != value])
    # A job's credentials are long; what else is named like one, such as a path or "true", is no secret.
    secrets += [value for name, value in environ.items() if _CREDENTIAL.search(name) and len(value) >= 8]
    return secrets, [outputs[name] for name in ("ipv4", "ipv6") if outputs.get(name)]


class Api:
    """The forge's API, for one repository. The token goes into a header, never into an address."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.gitlab = "GITLAB_CI" in environ
        if self.gitlab:
            self.base = f"{environ['CI_API_V4_URL']}/projects/{environ['CI_PROJECT_ID']}"
            self.headers = {"PRIVATE-TOKEN": environ["REPORT_TOKEN"]}
            self.request = f"merge_requests/{environ.get('CI_MERGE_REQUEST_IID')}/notes"
        else:
            self.base = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}"
            self.headers = {
                "Authorization": f"Bearer {environ['GITHUB_TOKEN']}",
                "Accept": "application/vnd.github+json",
            }
            self.request = f"issues/{environ.get('PULL_REQUEST')}/comments"

    def __call__(self, method: str, path: str, data: Mapping[str, object] | None = None) -> Any:
        sent = None if data is None else json.dumps(data).encode()
        headers = {**self.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base}/{path}", data=sent, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def comment(self, title: str, text: str) -> None:
        """The request's one comment of this title."""
        for page in range(1, 11):
            found = self("GET", f"{self.request}?per_page=100&page={page}")
            for comment in found:
                if comment["body"].startswith(marker(title)):
                    path = f"{self.request}/{comment['id']}" if self.gitlab else f"issues/comments/{comment['id']}"
                    self("PUT" if self.gitlab else "PATCH", path, {"body": text})
                    return
            if len(found) < 100:
                break
        self("POST", self.request, {"body": text})

    def issue(self, title: str, text: str) -> None:
        """The one open issue with the title as its label."""
        key, state = ("description", "opened") if self.gitlab else ("body", "open")
        wanted = {"title": f"{title}: what stands is not what is declared", key: text}
        open_ones = self("GET", f"issues?labels={title}&state={state}")
        if open_ones:
            number = open_ones[0]["iid" if self.gitlab else "number"]
            self("PUT" if self.gitlab else "PATCH", f"issues/{number}", wanted)
        else:
            self("POST", "issues", {**wanted, "labels": title if self.gitlab else [title]})


def main(words: list[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=["pull-request", "issue", "log"])
    parser.add_argument("command", nargs="+", metavar="-- make TARGET STACK=NAME")
    wanted = parser.parse_args(words)
    target = wanted.command[1]
    (stack,) = [word.removeprefix("STACK=") for word in wanted.command if word.startswith("STACK=")]
    try:
        secrets, origin = hidden(stack, environ)
    except Unreadable as error:
        print(f"report: {error}; nothing was run, for its secrets could not be masked", file=sys.stderr)
        return 1
    with subprocess.Popen(
        wanted.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as running:
        assert running.stdout
        output = ""
        for part in parts(running.stdout):
            print(safe := masked(part, secrets, origin), end="", flush=True)
            output += safe
    text = body(target, " ".join(wanted.command), output, running.returncode)
    try:
        if wanted.where == "pull-request":
            Api(environ).comment(target, text)
        elif wanted.where == "issue" and running.returncode:
            Api(environ).issue(target, text)
    except (OSError, KeyError) as error:
        print(f"report: the outcome could not be posted: {type(error).__name__}: {error}", file=sys.stderr)
        return running.returncode or 1
    return running.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
