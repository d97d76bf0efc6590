"""Did everybody find the same requests? By what was sent, what passed the tap, and what the app says that it saw."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.provisioning.smuggling import cases, reading

_SEEN = re.compile(rb"^X-Seen: (.*?)\r?$", re.MULTILINE | re.IGNORECASE)
_ANSWER = re.compile(rb"HTTP/1\.[01] [2-5][0-9][0-9][ \r]")
_NUMBER = re.compile(r"/(?:case|inside|after)/([0-9]+)/")

LENIENT = {
    "more than one Content-Length",
    "Transfer-Encoding that is not just chunked",
    "Transfer-Encoding and Content-Length",
}
"""What a proxy that follows the RFC may send on as it came. It is where servers were tricked behind many a proxy."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One between proxy and server: all bytes in both directions."""

    sent: bytes
    answered: bytes
    hung_up: bool
    """The server ended it, not the proxy."""


@dataclass(kw_only=True)
class Verdict:
    connections: int = 0
    forwarded: int = 0
    """Whole requests that came to the server."""
    seen: int = 0
    """Those that the app got."""
    unanswered: list[int] = field(default_factory=list)
    """Cases of which a whole request came to a server that kept silent; the attacker's impatience may explain it."""
    disagreements: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    """On what was forwarded, when it came through a proxy: of a careful one there are none."""


def judge(connections: Iterable[Connection], sent: Iterable[cases.Case], *, proxied: bool) -> Verdict:
    """`sent`: the cases. Without a proxy only the server is judged, by what it made of what a LENIENT one sends on."""
    verdict, seen_of = Verdict(), dict[int, list[dict[str, Any]]]()
    for connection in connections:
        seen = [json.loads(text) for text in _SEEN.findall(connection.answered)]
        for one in seen:
            if number := _NUMBER.search(one["path"]):
                seen_of.setdefault(int(number[1]), []).append(one)
        for problem in _connection(connection, seen, verdict, proxied=proxied):
            verdict.disagreements.append(f"{problem}: {connection.sent[-600:]!r} -> {connection.answered[:600]!r}")
    if proxied:
        for case in sent:
            for problem in _case(case, seen_of.get(case.number, [])):
                verdict.disagreements.append(f"case {case.number} {case.mutations}: {problem}")
    return verdict


def _connection(
    connection: Connection, seen: list[dict[str, Any]], verdict: Verdict, *, proxied: bool
) -> Iterator[str]:
    """The server against the bytes that it got."""
    found = reading.read(connection.sent)
    verdict.connections += 1
    verdict.forwarded += len(found.requests)
    verdict.seen += len(seen)
    if proxied:
        verdict.remarks.update(found.remarks)
        if found.end in ("refused", "closed"):
            yield f"the proxy sent on what ends {found.end} ({', '.join(found.remarks)})"
    elif found.end == "refused" or not LENIENT.issuperset(found.remarks):
        return
    left = list(found.requests)
    for one in seen:
        wrong = [_difference(one, request, exact=proxied) for request in left]
        # In order, but not all of them: our own wrapper answers some, such as an upgrade that its server can't do.
        if "" in wrong:
            del left[: wrong.index("") + 1]
        elif left:
            yield f"the app saw another request than was sent ({wrong[0]})"
            del left[0]
    if len(seen) > len(found.requests):
        yield f"the app saw {len(seen)} requests where {len(found.requests)} were sent ({', '.join(found.remarks)})"
    if proxied:
        answers = len(_ANSWER.findall(connection.answered))
        if answers > len(found.requests) + (found.end != "whole"):
            yield f"{answers} answers to {len(found.requests)} requests ({', '.join(found.remarks)})"
        if answers < len(found.requests) and not connection.hung_up:
            verdict.unanswered += (int(number) for number in _NUMBER.findall(found.requests[answers].target))
        for one in seen:
            address, *rest = one["told"]
            if not address or address.startswith(cases.LIE[:5].decode()) or rest != ["https", cases.HOST.decode()]:
                yield f"the app was told {one['told']}"


def _case(case: cases.Case, seen: list[dict[str, Any]]) -> Iterator[str]:
    """The proxy against the bytes that it got."""
    if isinstance(case, cases.Http2):
        if len(seen) > 1 or any("/inside/" in one["path"] for one in seen):
            yield f"one stream became {[one['path'] for one in seen]}"
        # One that was said to be shorter than it is may be on its way before the rest comes.
        length, said = len(b"".join(case.data)), dict(case.headers).get(b"content-length")
        if seen and seen[0]["length"] != length and b"%d" % seen[0]["length"] != said:
            yield f"a body of {length} bytes, said to be {said}, became one of {seen[0]['length']}"
        return
    wire, allowed = case.wire + cases.after(case.number), Counter[tuple[str, str, str]]()
    for found in (reading.read(wire), reading.read(wire, loosely=True)):
        allowed |= Counter((request.method, _what(request.target), request.sha256) for request in found.requests)
    got = Counter((one["method"], _what(one["path"]), one["sha256"]) for one in seen)
    if extra := got - allowed:
        yield f"the app saw {list(extra)}, in the wire are {list(allowed)}: {case.wire[:600]!r}"


def _difference(one: dict[str, Any], request: reading.Request, *, exact: bool) -> str:
    """What is not the same, or nothing. Unless `exact`, of a target only what it is for."""
    wanted = {"method": request.method, "length": request.length, "sha256": request.sha256}
    got = dict(one)
    if exact:
        readings = list(_readings(request.target))
        wanted["path"], wanted["query"] = readings[0]
        got["path"] = _resolved(one["path"])
        if (got["path"], got["query"]) in readings:
            got["path"], got["query"] = readings[0]
    else:
        wanted["path"], got["path"] = _what(request.target.partition("?")[0]), _what(one["path"])
    return ", ".join(f"{name} {got[name]!r} for {value!r}" for name, value in wanted.items() if got[name] != value)


def _readings(target: str) -> Iterator[tuple[str, str]]:
    """Path and query's SHA-256, as servers read them of a target that has what RFC 9112, 3.2 does not allow in it.

    A fragment is cut off, or left where it stands; bytes above 127 are taken as they are, or for Latin-1.
    """
    for text in (target.partition("#")[0], target):
        path, _, query = text.partition("?")
        for encoding in ("latin-1", "utf-8"):
            raw, digest = path.encode(encoding), hashlib.sha256(query.encode(encoding)).hexdigest()
            yield _resolved(unquote_to_bytes(raw).decode("latin-1")), digest


def _resolved(path: str) -> str:
    """Waitress makes one slash of several at the start, uWSGI follows dots."""
    return posixpath.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else path


def _what(target: str) -> str:
    found = _NUMBER.search(target)
    return found[0] if found else target
