"""Cases in HTTP/2: what becomes HTTP/1.1 between the proxy and the server, and must become nothing else on the way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.provisioning.smuggling.cases import CODINGS, HOST, LIE, VISITOR, Http2, case_name, inside, lengths, parts


@dataclass(kw_only=True)
class Stream:
    """A request that can be bent."""

    number: int
    head: dict[bytes, bytes]
    """The pseudo-headers."""
    fields: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ended: bool = True

    def line(self, rng: random.Random) -> bytes:
        """A line's end and what may follow where the reader ends the line there."""
        end = rng.choice([b"\r\n", b"\n", b"\r", b"\x00", b"\r\n\r\n"])
        lines = [b"Transfer-Encoding: chunked", b"Content-Length: 0", b"X-Forwarded-For: " + LIE, inside(self.number)]
        return end + rng.choice(lines)


Mutation = Callable[[Stream, random.Random], None]
MUTATIONS: dict[str, Mutation] = {}


def case(number: int, rng: random.Random) -> Http2:
    hidden = inside(number)
    start = rng.choice([b"", b"0\r\n\r\n", b"5\r\nabcde\r\n"])
    stream = Stream(
        number=number,
        head={
            b":method": rng.choice([b"GET", b"POST", b"POST"]),
            b":scheme": b"https",
            b":authority": HOST,
            b":path": case_name(number),
        },
        fields=[(b"cf-connecting-ip", VISITOR), (b"user-agent", b"smuggler")],
        body=rng.choice([b"", start + hidden, start + hidden, b"x" * 5, rng.randbytes(rng.choice([1, 20_000]))]),
    )
    names = rng.sample(sorted(MUTATIONS), rng.choice([1, 1, 2, 3]))
    for name in names:
        MUTATIONS[name](stream, rng)
    return Http2(
        number=number,
        mutations=tuple(names),
        headers=(*stream.head.items(), *stream.fields),
        data=tuple(parts(stream.body, rng)),
        trailers=tuple(stream.trailers),
        ended=stream.ended,
    )


def _mutation(mutate: Mutation) -> Mutation:
    MUTATIONS[f"h2 {mutate.__name__.replace('_', ' ')}"] = mutate
    return mutate


@_mutation
def length(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"content-length", rng.choice(lengths(len(s.body)))))


@_mutation
def second_length(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"content-length", b"%d" % len(s.body)))
    length(s, rng)


@_mutation
def coding(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"transfer-encoding", rng.choice(CODINGS)))


@_mutation
def connection(s: Stream, rng: random.Random) -> None:
    name = rng.choice([b"connection", b"keep-alive", b"proxy-connection"])
    s.fields.append((name, rng.choice([b"close", b"transfer-encoding"])))


@_mutation
def upgrade(s: Stream, rng: random.Random) -> None:
    s.fields += rng.sample([(b"upgrade", b"websocket"), (b"connection", b"upgrade")], rng.choice([1, 2]))


@_mutation
def te(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"te", rng.choice([b"trailers", b"chunked", b"trailers, chunked"])))


@_mutation
def expect(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"expect", rng.choice([b"100-continue", b"101-x", b""])))


@_mutation
def line_in_value(s: Stream, rng: random.Random) -> None:
    s.fields.append((rng.choice([b"x-odd", b"user-agent", b"cookie"]), b"a" + s.line(rng)))


@_mutation
def line_in_name(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"x-odd: a" + s.line(rng).replace(b": ", b":"), b"b"))


@_mutation
def odd_name(s: Stream, rng: random.Random) -> None:
    names = b"content-length | transfer-encoding|x-odd\t||x:odd|content-length:|transfer-encoding: chunked\r\nx"
    s.fields.append((rng.choice(names.split(b"|")), b"5"))


@_mutation
def upper_case_name(s: Stream, rng: random.Random) -> None:
    s.fields.append((rng.choice([b"Content-Length", b"Transfer-Encoding", b"X-Upper"]), b"5"))


@_mutation
def underscored_name(s: Stream, rng: random.Random) -> None:
    s.fields.append(rng.choice([(b"content_length", b"5"), (b"transfer_encoding", b"chunked")]))


@_mutation
def path(s: Stream, rng: random.Random) -> None:
    was = s.head[b":path"]
    ends = [b" HTTP/1.1" + s.line(rng), s.line(rng), b"?a b", b"\x00", b"\xff", b"#a", b"%0d%0aX: y", b""]
    changed = rng.choice([was, was, b"http://evil.example" + was, was[1:], b"//x" + was]) + rng.choice(ends)
    s.head[b":path"] = changed


@_mutation
def method(s: Stream, rng: random.Random) -> None:
    odd = [b"GET / HTTP/1.1" + s.line(rng), b"get", b"", b"CONNECT", b"HEAD", b"G T", b"TRACE"]
    s.head[b":method"] = rng.choice(odd)


@_mutation
def authority(s: Stream, rng: random.Random) -> None:
    odd = [HOST + s.line(rng), b"", b"evil.example", b"example.com:443", b"a@example.com", b"example.com/x"]
    s.head[b":authority"] = rng.choice(odd)


@_mutation
def host(s: Stream, rng: random.Random) -> None:
    s.fields.append((b"host", rng.choice([HOST, b"evil.example", HOST + s.line(rng)])))


@_mutation
def scheme(s: Stream, rng: random.Random) -> None:
    s.head[b":scheme"] = rng.choice([b"http", b"https://evil.example/?", b"", b"https" + s.line(rng), b"ftp"])


@_mutation
def late_pseudo_header(s: Stream, rng: random.Random) -> None:
    odd = [(b":path", b"/inside/%d/" % s.number), (b":method", b"PUT"), (b":odd", b"x"), (b":status", b"200")]
    s.fields.append(rng.choice(odd))


@_mutation
def trailers(s: Stream, rng: random.Random) -> None:
    odd = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked"), (b"x-forwarded-for", LIE), (b":path", b"/")]
    s.trailers.append(rng.choice([*odd, (b"x-odd", b"a" + s.line(rng))]))
    s.fields.append((b"trailer", s.trailers[-1][0]))


@_mutation
def forged(s: Stream, rng: random.Random) -> None:
    s.fields += [(name, LIE) for name in (b"x-forwarded-for", b"x_forwarded_for", b"x-real-ip", b"forwarded")]


@_mutation
def never_ended(s: Stream, rng: random.Random) -> None:
    s.ended = rng.random() < 0.5
