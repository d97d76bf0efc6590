"""Requests as an attacker would write them: a plain one, bent in one to three ways. The same for the same number.

Every case asks for /case/<number>/ and carries in its body a request for /inside/<number>/: an app that gets the latter
when the reader of the wire does not find it there was tricked. What is sent behind each case asks for /after/<number>/.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

HOST = b"example.com"
VISITOR = b"203.0.113.7"
"""Who Cloudflare says it is, in every case."""
LIE = b"6.6.6.6"
"""Who the attacker claims to be; no app may be told so."""


@dataclass(frozen=True, kw_only=True)
class Http1:
    """Bytes as they go over the line, in pieces that are flushed apart."""

    number: int
    mutations: tuple[str, ...]
    pieces: tuple[bytes, ...]

    @property
    def wire(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, kw_only=True)
class Http2:
    """One stream: HEADERS, DATA and, where there are any, trailers. `ended` says whether it is ended at all."""

    number: int
    mutations: tuple[str, ...]
    headers: tuple[tuple[bytes, bytes], ...]
    data: tuple[bytes, ...]
    trailers: tuple[tuple[bytes, bytes], ...]
    ended: bool


Case = Http1 | Http2


def case_name(number: int) -> bytes:
    return b"/case/%d/" % number


def inside(number: int) -> bytes:
    """The request that hides in a body."""
    return b"GET /inside/%d/ HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\n\r\n" % (number, HOST, LIE)


def after(number: int) -> bytes:
    """A plain request: whoever answers it took what came before for whole."""
    return b"GET /after/%d/ HTTP/1.1\r\nHost: %s\r\nCF-Connecting-IP: %s\r\n\r\n" % (number, HOST, VISITOR)


def parts(data: bytes, rng: random.Random) -> list[bytes]:
    """One to four, of which none is empty unless all is."""
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 3)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]


def lengths(n: int) -> list[bytes]:
    """What someone might take for the number n, and numbers near it."""
    near = (n, 0, 1, max(n - 1, 0), n + 1, n // 2, n + 40)
    huge = (2**31 - 1, 2**31, 2**32 + n, 2**63 - 1, 2**63, 2**64 + n, 10**30)
    forms = (
        b"+N|-N|0N|00000000000000000000N|N.0|0xN|Ne0|N |N\t|\tN|\x0bN|N\x0c|N\x00|\x00N|'N'|N;|N,N|N, N|N N|N,N,|N\tN"
        b"|N\rN|N_N|N;N|N, 0|0, N|N,|,N|N,+0|N, chunked|N\xa0|N#|N\x85|\x1fN"
    )
    odd = b"| |-0|-1|\xd9\xa3|1_0|1e1|NaN|0b1|abc|0x0|+0".split(b"|")
    return [b"%d" % number for number in (*near, *huge)] + forms.replace(b"N", b"%d" % n).split(b"|") + odd


CODINGS = (
    b"chunked|Chunked|CHUNKED| chunked|chunked |\tchunked|chunked\t|\x0bchunked|chunked\x0b|\x0cchunked|chunked\x00"
    b"|\x00chunked|\xa0chunked|chunked\xa0|\x85chunked|xchunked|chunkedx|x chunked|chunked x|chunked;|chunked;q=1"
    b'|chunked; a=b|"chunked"|identity|identity, chunked|chunked, identity|identity,chunked,identity|chunked,chunked'
    b"|gzip, chunked|gzip|chunked, gzip|deflate,chunked|compress|cow|cow, chunked|chunked, cow|,chunked|chunked,"
    b"|, ,chunked|chunked,,|chunked\\|[chunked]|chu nked|| |null|0|trailers|chunked\r|chunked\rX: y|\rchunked"
).split(b"|")
"""Values of Transfer-Encoding."""
