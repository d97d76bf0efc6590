"""What curl saw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The last answer of one call of curl. `status` is 0 and `error` says why when there was none."""

    status: int
    body: bytes
    headers: dict[str, list[str]]
    http: str
    remote: str
    url: str
    redirects: int
    location: str
    error: str

    def json(self) -> Any:
        """The body decoded; None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self) -> str:
        """What a person needs to know of it."""
        return self.error or f"{self.status} {self.body[:80].decode(errors='replace').strip()!r}"


# To stderr, since stdout is the body's.
WRITE_OUT = ("--write-out", "%{stderr}%{json}%{header_json}")


def answer(stdout: bytes, stderr: bytes) -> Answer:
    """Read the output of a curl that was given WRITE_OUT."""
    text = stderr.decode(errors="replace")
    start = text.find('{"')
    if start < 0:
        raise RuntimeError(f"curl said {text.strip()[-300:]!r}")
    facts, end = json.JSONDecoder().raw_decode(text, start)
    headers, _ = json.JSONDecoder().raw_decode(text[end:].lstrip())
    return Answer(
        status=facts["http_code"],
        body=stdout,
        headers=headers,
        http=facts["http_version"],
        remote=facts["remote_ip"],
        url=facts["url_effective"],
        redirects=facts["num_redirects"],
        location=facts["redirect_url"] or "",
        error=facts["errormsg"] or "",
    )
