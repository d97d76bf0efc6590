"""Knocks at origins by hand, without the manners of a well-behaved client; run by itself in a place to stand.

`python -I knock.py` reads a JSON list of knocks from stdin, tries them side by side and writes a list of results. The
standard library alone, so that nothing of the rehearsal has to be loaded for it.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import ssl
import sys
import warnings
from dataclasses import asdict, dataclass
from typing import Literal

CONNECT_SECONDS = 1.5
_VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, kw_only=True)
class Knock:
    """One try. `tls` is "" for plain text; `client` a PEM pair; `request` what is sent, byte by byte (Latin-1).

    resume: the SNI of a first handshake, whose session the second presents. patience: seconds of silence to wait.
    """

    address: str
    port: int = 443
    tls: Literal["", "any", "1.1", "1.2", "1.3"] = "any"
    sni: str = ""
    client: str = ""
    request: str = ""
    resume: str = ""
    patience: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it.

    how: "filtered" (nothing at all came back), "refused" (something said no), "connected", "alert: …" or "dropped"
    (there was a connection, and no request got through it).
    answer: what came back after the request (Latin-1), at most 64 KiB. session: a session was to be had, or was taken.
    """

    how: str
    answer: str = ""
    session: Literal["", "kept", "resumed"] = ""

    @property
    def status(self) -> int:
        """The HTTP status; 0 when there is none."""
        words = self.answer.split(maxsplit=2)
        return int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") and words[1].isdigit() else 0

    @property
    def body(self) -> str:
        return self.answer.partition("\r\n\r\n")[2]


def request(host: str, path: str, *headers: str) -> str:
    """A GET that ends its connection, with header lines as given."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""])


def attempt(knock: Knock) -> Result:
    """Never raises: what goes wrong is the result."""
    context = _context(knock) if knock.tls else None
    if not (context and knock.resume):
        return _attempt(knock, context, knock.sni, None)[0]
    _, session = _attempt(knock, context, knock.resume, None)
    result, _ = _attempt(knock, context, knock.sni, session)
    if session and not result.session:
        return Result(how=result.how, answer=result.answer, session="kept")
    return result


def _attempt(
    knock: Knock, context: ssl.SSLContext | None, sni: str, session: ssl.SSLSession | None
) -> tuple[Result, ssl.SSLSession | None]:
    try:
        plain = socket.create_connection((knock.address, knock.port), CONNECT_SECONDS)
    except TimeoutError:
        return Result(how="filtered"), None
    except OSError:
        return Result(how="refused"), None
    with plain:
        plain.settimeout(knock.patience)
        try:
            if context is None:
                return _exchange(knock, plain), None
            with context.wrap_socket(plain, server_hostname=sni or None, session=session) as secure:
                result = _exchange(knock, secure)
                kept = secure.session if secure.session and secure.session.has_ticket else None
                if secure.session_reused:
                    result = Result(how=result.how, answer=result.answer, session="resumed")
                return result, kept
        except ssl.SSLError as error:
            return Result(how=f"alert: {(error.reason or str(error)).lower().replace('_', ' ')}"), None
        except OSError:
            return Result(how="dropped"), None


def _exchange(knock: Knock, line: socket.socket) -> Result:
    answer = ""
    try:
        line.sendall(knock.request.encode("latin-1"))
        while len(answer) < 65_536 and (chunk := line.recv(65_536)):
            answer += chunk.decode("latin-1")
    except ssl.SSLError as error:
        return Result(how=f"alert: {(error.reason or str(error)).lower().replace('_', ' ')}", answer=answer)
    except TimeoutError:
        return Result(how="connected", answer=answer)
    except OSError:
        return Result(how="dropped", answer=answer)
    return Result(how="connected" if answer or not knock.request else "dropped", answer=answer)


def _context(knock: Knock) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # OpenSSL offers old versions at this level only; whether they are taken is the server's to say.
    context.set_ciphers("ALL:@SECLEVEL=0")
    if knock.tls in _VERSIONS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = _VERSIONS[knock.tls]
    if knock.client:
        with os.fdopen(os.memfd_create("client"), "w") as memory:  # keys never touch the disk
            memory.write(knock.client)
            memory.flush()
            context.load_cert_chain(f"/proc/self/fd/{memory.fileno()}")
    return context


if __name__ == "__main__":
    knocks = [Knock(**one) for one in json.load(sys.stdin)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        json.dump([asdict(result) for result in pool.map(attempt, knocks)], sys.stdout)
