"""Sends cases over many connections at once and says what came back; run as a module in a place to stand.

Stdin takes an Attack, stdout gives a Result, both as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import sys
from dataclasses import asdict, dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.provisioning.smuggling import cases, generator

CONNECTIONS = 48
_SEEN = re.compile(rb"/(?:case|inside|after)/([0-9]+)/")


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`address` is an IP address, at port 443 of which TLS is spoken, or the path of a unix socket, where none is.

    client: a PEM file with certificate and key. Cases are those of `seed` with these numbers. quiet: seconds without a
    byte after which a case is given up, because somebody seems to wait for more of a body.
    """

    address: str = ""
    client: str = ""
    seed: int = 1
    numbers: list[int]
    quiet: float = 0.4


@dataclass(kw_only=True)
class Result:
    statuses: dict[str, int] = field(default_factory=dict)
    """How many first answers had which status; "" for none."""
    leaks: list[str] = field(default_factory=list)
    """Answers to one case's request that another case's connection got."""


async def run(attack: Attack) -> Result:
    result, numbers = Result(), iter(attack.numbers)

    async def work() -> None:
        line1, line2 = _Line1(attack), _Line2(attack)
        for number in numbers:
            case = generator.case(attack.seed, number, with_http2=bool(attack.client))
            line = line1 if isinstance(case, cases.Http1) else line2
            answer = await line.send(case)
            status = re.match(rb"HTTP/[0-9.]+ ([0-9]+)", answer)
            word = status[1].decode() if status else ""
            result.statuses[word] = result.statuses.get(word, 0) + 1
            strangers = {int(found) for found in _SEEN.findall(answer)} - {number}
            if strangers:
                result.leaks.append(f"the connection of case {number} got answers of {sorted(strangers)}")
        line1.close()
        line2.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return result


class _Line:
    """A connection, made anew whenever it is gone."""

    protocol: str

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._context = _context(attack.client, self.protocol) if attack.client else None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self._reader or not self._writer:
            if self._context:
                self._reader, self._writer = await asyncio.open_connection(
                    self._attack.address, 443, ssl=self._context, server_hostname=cases.HOST.decode()
                )
            else:
                self._reader, self._writer = await asyncio.open_unix_connection(self._attack.address)
        return self._reader, self._writer

    def close(self) -> None:
        if self._writer:
            self._writer.close()
        self._reader = self._writer = None


class _Line1(_Line):
    protocol = "http/1.1"

    async def send(self, case: cases.Case) -> bytes:
        """All that came back until the request behind the case was answered, or the connection ended or fell silent."""
        assert isinstance(case, cases.Http1)
        answer, done = b"", b"/after/%d/" % case.number
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await self._open()
            for piece in (*case.pieces[:-1], case.pieces[-1] + cases.after(case.number)):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while not (done in answer and b"seen\n" in answer[answer.index(done) :]):
                async with asyncio.timeout(self._attack.quiet):
                    data = await reader.read(65_536)
                if not data:
                    break
                answer += data
            else:
                if self._context:
                    return answer
        self.close()  # without a proxy to sort them, a connection for each case
        return answer


class _Line2(_Line):
    protocol = "h2"

    def __init__(self, attack: Attack) -> None:
        super().__init__(attack)
        self._http: h2.connection.H2Connection | None = None

    def close(self) -> None:
        super().close()
        self._http = None

    async def send(self, case: cases.Case) -> bytes:
        """The answer as if it had been HTTP/1, nothing when the stream or the connection was ended."""
        assert isinstance(case, cases.Http2)
        answer, whole = b"", False
        with contextlib.suppress(OSError, TimeoutError, h2.exceptions.H2Error):
            reader, writer = await self._open()
            if not self._http:
                self._http = h2.connection.H2Connection(
                    h2.config.H2Configuration(
                        header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
                    )
                )
                self._http.initiate_connection()
            stream = self._http.get_next_available_stream_id()
            self._write(case, stream)
            writer.write(self._http.data_to_send())
            while not whole:
                async with asyncio.timeout(self._attack.quiet):
                    data = await reader.read(65_536)
                if not data:
                    break
                for event in self._http.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        fields = dict(event.headers or [])
                        answer = b"HTTP/2 " + fields[b":status"] + b"\r\n" + fields.get(b"x-seen", b"")
                    if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                        whole = True
                writer.write(self._http.data_to_send())
        if not (whole and case.ended):
            self.close()
        return answer

    def _write(self, case: cases.Http2, stream: int) -> None:
        assert self._http
        endings = [case.ended and not case.data and not case.trailers, case.ended and not case.trailers]
        self._http.send_headers(stream, case.headers, end_stream=endings[0])
        for index, data in enumerate(case.data):
            for start in range(0, len(data), 16_000):
                self._http.send_data(stream, data[start : start + 16_000])
            if endings[1] and index == len(case.data) - 1:
                self._http.end_stream(stream)
        if case.trailers:
            self._http.send_headers(stream, case.trailers, end_stream=True)


def _context(client: str, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(client)
    context.set_alpn_protocols([protocol])
    return context


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Attack(**json.load(sys.stdin)))))))
