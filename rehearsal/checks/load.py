"""A steady load on a site, for as long as stdin stays open; run by itself in a visitor's place.

HTTP/1.1 by hand, so that nothing retries or hides what went wrong. The standard library alone:
`python -I load.py '{"hostname": …, "ca": path, "limit": seconds, "streams": [{…}]}'`.

stream: {name, method, path, body: bytes to send, every: seconds from one request to the next, keep: whether the
         connection is kept, sees: the status that is right, hangs: leave it out, or true for a client that sends half
         of its body and then nothing more, until it is over or somebody closes the connection; nothing is counted}
Writes the line "flowing" once every stream had an answer or a failure, and one JSON object when done: {requests,
failed, failures: [{stream, after, what}], p99: {stream: seconds}, releases: {id: {answers, first, last}}}; times in
seconds. The first 50 failures are told, `failed` counts them all. A release's times are of time.monotonic(): `first`
when its first answer was here, `last` when the last request that it answered was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import ssl
import sys
import time
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 60.0  # seconds for one answer
PAUSE = 0.02  # seconds at least from an answer, or a failure, to the next request
_RELEASE = re.compile(rb'"release":\s*"([^"]+)"')


@dataclass
class Report:
    """What came of the requests so far."""

    started: float = field(default_factory=time.monotonic)
    took: dict[str, list[float]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    releases: dict[str, dict[str, float]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)  # streams that nothing was heard of yet

    def answered(self, stream: str, began: float, body: bytes) -> None:
        self.took.setdefault(stream, []).append(time.monotonic() - began)
        self._heard(stream)
        if found := _RELEASE.search(body):
            new = {"answers": 0, "first": time.monotonic(), "last": began}
            seen = self.releases.setdefault(found[1].decode(), new)
            seen |= {"answers": seen["answers"] + 1, "last": max(seen["last"], began)}

    def failed(self, stream: str, what: str) -> None:
        after = round(time.monotonic() - self.started, 2)
        self.failures.append({"stream": stream, "after": after, "what": what})
        self._heard(stream)

    def _heard(self, stream: str) -> None:
        if stream in self.silent:
            self.silent.remove(stream)
            if not self.silent:
                print("flowing", flush=True)

    def document(self) -> dict[str, Any]:
        return {
            "requests": sum(map(len, self.took.values())) + len(self.failures),
            "failed": len(self.failures),
            "failures": self.failures[:50],
            "p99": {name: round(sorted(took)[int(len(took) * 0.99)], 3) for name, took in self.took.items()},
            "releases": self.releases,
        }


class Connection:
    """One connection to the edge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.keeps = True

    async def ask(self, head: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; the connection says in `keeps` whether it may be used again."""
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if headers.get("connection", "").lower() == "close":
            self.keeps = False
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return status, await self._chunks()
        if "content-length" in headers:
            return status, await self.reader.readexactly(int(headers["content-length"]))
        self.keeps = False
        return status, await self.reader.read()

    async def _chunks(self) -> bytes:
        content = b""
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            content += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return content


async def stream(
    wanted: dict[str, Any], hostname: str, tls: ssl.SSLContext, report: Report, over: asyncio.Event
) -> None:
    """One request after another until it is over."""
    body = os.urandom(wanted["body"])
    head = f"{wanted['method']} {wanted['path']} HTTP/1.1\r\nHost: {hostname}\r\nUser-Agent: rehearsal-load\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\nContent-Type: application/octet-stream\r\n"
    head += "\r\n" if wanted["keep"] else "Connection: close\r\n\r\n"
    if wanted.get("hangs"):
        await _hang(head, body, hostname, tls, over)
        return
    connection: Connection | None = None
    while not over.is_set():
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                if connection is None:
                    connection = Connection(*await asyncio.open_connection(hostname, 443, ssl=tls))
                status, answer = await connection.ask(head, body)
            if status != wanted["sees"]:
                report.failed(wanted["name"], f"status {status}: {answer[:100].decode(errors='replace').strip()}")
            elif b'"sha256"' in answer and hashlib.sha256(body).hexdigest().encode() not in answer:
                report.failed(wanted["name"], "the app got another body than was sent")
            else:
                report.answered(wanted["name"], began, answer)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            report.failed(wanted["name"], f"{type(error).__name__}: {error}")
            if connection:
                connection.keeps = False
        if connection and not (wanted["keep"] and connection.keeps):
            connection.writer.close()
            connection = None
        pause = max(wanted["every"] - (time.monotonic() - began), PAUSE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await over.wait()
    if connection:
        connection.writer.close()


async def _hang(head: str, body: bytes, hostname: str, tls: ssl.SSLContext, over: asyncio.Event) -> None:
    """One client after another that never comes to the end of its request."""
    while not over.is_set():
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(hostname, 443, ssl=tls)
            writer.write(head.encode() + body[: len(body) // 2])
            ways_out = [asyncio.ensure_future(reader.read()), asyncio.ensure_future(over.wait())]
            await asyncio.wait(ways_out, return_when=asyncio.FIRST_COMPLETED)
            for way_out in ways_out:
                way_out.cancel()
            await asyncio.gather(*ways_out, return_exceptions=True)
            writer.close()
        await asyncio.sleep(PAUSE)


async def run(wanted: dict[str, Any]) -> dict[str, Any]:
    """All streams side by side, until stdin ends or the limit is reached; requests under way are finished."""
    tls = ssl.create_default_context(cafile=wanted["ca"])
    report = Report(silent={one["name"] for one in wanted["streams"] if not one.get("hangs")})
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), over.set)
    loop.call_later(wanted["limit"], over.set)
    async with asyncio.TaskGroup() as tasks:
        for one in wanted["streams"]:
            tasks.create_task(stream(one, wanted["hostname"], tls, report, over))
    return report.document()


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.loads(sys.argv[1]))), sys.stdout)
