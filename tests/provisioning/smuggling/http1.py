"""Cases in HTTP/1: request lines, headers, line ends and chunks as no careful client writes them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.provisioning.smuggling.cases import CODINGS, HOST, LIE, VISITOR, Http1, case_name, inside, lengths, parts


@dataclass(kw_only=True)
class Message:
    """A request that can be bent."""

    number: int
    method: bytes
    target: bytes
    version: bytes = b"HTTP/1.1"
    gaps: list[bytes] = field(default_factory=lambda: [b" ", b" "])
    """Between the parts of the request line."""
    before: bytes = b""
    lines: list[bytes]
    ends: dict[int, bytes] = field(default_factory=dict)
    """Ends of header lines that are not CRLF, by index; -1 is the request line's, -2 the empty line's."""
    plain: bytes
    """The body before any encoding."""
    chunks: list[list[bytes]] | None = None
    """Size, extension, end of line, data, end of data; None for a body that is sent as it is."""
    last: bytes = b"0\r\n"
    trailers: bytes = b"\r\n"

    def drop(self, name: bytes) -> None:
        self.lines = [line for line in self.lines if not line.lower().startswith(name.lower() + b":")]

    def add(self, line: bytes, rng: random.Random) -> None:
        self.lines.insert(rng.randint(0, len(self.lines)), line)

    def frame(self, how: str, rng: random.Random) -> None:
        """Honest framing: "none", "length" or "chunked"."""
        self.drop(b"Content-Length")
        self.drop(b"Transfer-Encoding")
        self.chunks = None
        if how == "none":
            self.plain = b""
        elif how == "length":
            self.add(b"Content-Length: %d" % len(self.plain), rng)
        else:
            self.add(b"Transfer-Encoding: chunked", rng)
            self.chunks = [[b"%x" % len(part), b"", b"\r\n", part, b"\r\n"] for part in parts(self.plain, rng)]

    @property
    def body(self) -> bytes:
        if self.chunks is None:
            return self.plain
        return b"".join(b"".join(chunk) for chunk in self.chunks) + self.last + self.trailers

    @property
    def head(self) -> bytes:
        first = b"".join([self.method, self.gaps[0], self.target, self.gaps[1], self.version])
        lines = [line + self.ends.get(index, b"\r\n") for index, line in enumerate(self.lines)]
        return self.before + first + self.ends.get(-1, b"\r\n") + b"".join(lines) + self.ends.get(-2, b"\r\n")


Mutation = Callable[[Message, random.Random], None]
MUTATIONS: dict[str, Mutation] = {}


def case(number: int, rng: random.Random) -> Http1:
    message = _plain(number, rng)
    names = rng.sample(sorted(MUTATIONS), rng.choice([1, 1, 2, 2, 3]))
    for name in names:
        MUTATIONS[name](message, rng)
    wire = message.head + message.body
    cut = rng.choice([0, 0, 0, len(message.head), rng.randint(0, len(wire))])
    pieces = (piece for piece in (wire[:cut], wire[cut:]) if piece)
    return Http1(number=number, mutations=tuple(names), pieces=tuple(pieces))


def _plain(number: int, rng: random.Random) -> Message:
    hidden = inside(number)
    message = Message(
        number=number,
        method=rng.choice([b"GET", b"POST", b"POST", b"POST", b"PUT", b"DELETE"]),
        target=case_name(number),
        lines=[b"Host: " + HOST, b"CF-Connecting-IP: " + VISITOR, b"User-Agent: smuggler"],
        plain=rng.choice(
            [
                *(start + hidden for start in (b"", b"x=", b"\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n0\r\n\r\n")),
                rng.randbytes(rng.randint(0, 300)) + hidden,
                rng.randbytes(rng.choice([1, 8, 100, 5_000, 40_000])),
                b"",
            ]
        ),
    )
    message.frame(rng.choice(["none", "length", "length", "chunked", "chunked"]), rng)
    return message


def _mutation(mutate: Mutation) -> Mutation:
    MUTATIONS[mutate.__name__.replace("_", " ")] = mutate
    return mutate


# ---- Content-Length and Transfer-Encoding ----


@_mutation
def odd_length(m: Message, rng: random.Random) -> None:
    m.drop(b"Content-Length")
    second_length(m, rng)


@_mutation
def second_length(m: Message, rng: random.Random) -> None:
    m.add(b"Content-Length: " + rng.choice(lengths(len(m.body))), rng)


@_mutation
def repeated_length(m: Message, rng: random.Random) -> None:
    m.frame("length", rng)
    m.drop(b"Content-Length")
    n = b"%d" % len(m.body)
    m.lines += rng.choice([[b"Content-Length: " + n] * 2, [b"Content-Length: " + n + b", " + n]])


@_mutation
def length_and_chunked(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    m.add(b"Content-Length: %d" % rng.choice([0, 1, 5, len(m.body), len(m.plain), len(m.body) + 7]), rng)


@_mutation
def chunked_that_ends_before_the_length(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    m.chunks, m.trailers = [], b"\r\n" + inside(m.number)
    m.add(b"Content-Length: %d" % len(m.body), rng)


@_mutation
def odd_coding(m: Message, rng: random.Random) -> None:
    if m.chunks is None and rng.random() < 0.7:
        m.frame("chunked", rng)
    m.drop(b"Transfer-Encoding")
    second_coding(m, rng)


@_mutation
def second_coding(m: Message, rng: random.Random) -> None:
    m.add(b"Transfer-Encoding: " + rng.choice(CODINGS), rng)


@_mutation
def odd_coding_and_length(m: Message, rng: random.Random) -> None:
    odd_coding(m, rng)
    m.add(b"Content-Length: %d" % len(m.body), rng)


_FOLDS = b"\r\n |\r\n\t|\n |\r |\r\n \r\n ".split(b"|")


@_mutation
def folded_coding(m: Message, rng: random.Random) -> None:
    m.drop(b"Transfer-Encoding")
    m.add(b"Transfer-Encoding:" + rng.choice(_FOLDS) + b"chunked", rng)


@_mutation
def folded_length(m: Message, rng: random.Random) -> None:
    m.drop(b"Content-Length")
    fold = rng.choice(_FOLDS)
    m.add(b"Content-Length:" + rng.choice([fold + b"%d", b"%d" + fold + b"0", b"1" + fold + b"%d"]) % len(m.body), rng)


@_mutation
def coding_hidden_in_a_fold(m: Message, rng: random.Random) -> None:
    m.add(b"X-Folded: a\r\n" + rng.choice([b" ", b"\t"]) + b"Transfer-Encoding: chunked", rng)


@_mutation
def misspelt_framing_header(m: Message, rng: random.Random) -> None:
    """Its name is almost that of one."""
    shapes = b'N |N\t| N|\tN|N\x00|\x00N|N\x0b|\x0bN|N\xa0|N\r|\rN|\nN|N\n|XN|NX|X: y\nN|X: y\rN|"N"|N:|:N|N\x1f|N,'
    length = b"%d" % rng.choice([0, 5, len(m.body)])
    name, value = rng.choice([(b"Content-Length", length), (b"Transfer-Encoding", b"chunked")])
    m.add(rng.choice(shapes.split(b"|")).replace(b"N", name) + b": " + value, rng)


@_mutation
def underscored_framing_header(m: Message, rng: random.Random) -> None:
    m.add(rng.choice([b"Content_Length: 0", b"CONTENT_LENGTH: 7", b"Transfer_Encoding: chunked"]), rng)


@_mutation
def pipelined(m: Message, rng: random.Random) -> None:
    """Another request where the body ends, by the framing that was honest until other mutations came."""
    if m.chunks is None:
        m.plain += inside(m.number)
    else:
        m.trailers += inside(m.number)


# ---- chunks ----


@_mutation
def chunk_size(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    odd = (
        b"0xN|+N|-N|0N|0000000000000000N| N|N |\tN|N\t|N\x0b|Ng|N_0|N,|N.0|1N|fN|10000000000000000N|ffffffffffffffffN"
        b"|Nh|N\x00|\x00N|'N'|0N0|0_N|N #|N\r|\nN|\r\nN|N 0|N\x85|N\xa0"
    )
    if m.chunks:
        chunk = rng.choice(m.chunks)
        chunk[0] = rng.choice(odd.split(b"|")).replace(b"N", rng.choice([chunk[0], chunk[0].upper()]))


@_mutation
def wrong_chunk_size(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    if m.chunks:
        chunk = rng.choice(m.chunks)
        chunk[0] = b"%x" % max(0, int(chunk[0], 16) + rng.choice([-2, -1, 1, 2, 3, 16, 1 << 20]))


@_mutation
def chunk_extension(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    odd = b';|;a|;a=b| ; a = "b"|; "|;\n|;\r|;a\rb|;a\nb|;\x00| |\t| a|=|;a=\x0b|;a;b=c;d|;x="\r\n|;\x0b'.split(b"|")
    odd += [b";" + b"a" * 5_000, b"; " + inside(m.number)[:-4]]
    for chunk in m.chunks or []:
        chunk[1] = rng.choice(odd)
    if rng.random() < 0.3:
        m.last = b"0" + rng.choice(odd) + b"\r\n"


@_mutation
def chunk_line_end(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    if m.chunks:
        rng.choice(m.chunks)[2] = rng.choice(b"\n|\r|\r\r\n|\n\r|| \r\n|\r\n\r\n|\rX".split(b"|"))


@_mutation
def chunk_data_end(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    if m.chunks:
        rng.choice(m.chunks)[4] = rng.choice(b"|\n|\r|XX|\r\r\n|\n\n|\r\n\r\n|\x00\x00|\rX".split(b"|"))


@_mutation
def last_chunk(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    m.last = rng.choice(b"|0\n|0\r|00\r\n|-0\r\n|0x0\r\n|+0\r\n|000000000000000000000\r\n".split(b"|"))


@_mutation
def trailers(m: Message, rng: random.Random) -> None:
    m.frame("chunked", rng)
    odd = (
        b"X-Trailer: yes| folded|nonsense|X : y|X: a\nY: b|X: a\rY: b|\x00|Content-Length: 5|Transfer-Encoding: chunked"
    )
    line = rng.choice([*odd.split(b"|"), b"X-Forwarded-For: " + LIE, b"Host: evil.example", b"X: " + b"a" * 9_000])
    m.trailers = line + rng.choice([b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\n\n", b"\r\n"])
    if rng.random() < 0.5:
        m.add(b"Trailer: " + line.partition(b":")[0].replace(b"\r", b"").replace(b"\n", b""), rng)


# ---- lines ----


@_mutation
def folded_first_line(m: Message, rng: random.Random) -> None:
    m.lines.insert(0, rng.choice([b" ", b"\t", b"\x0b"]) + rng.choice([b"Content-Length: 0", b"X: y"]))


@_mutation
def space_before_colon(m: Message, rng: random.Random) -> None:
    index = rng.randrange(len(m.lines))
    m.lines[index] = m.lines[index].replace(b":", rng.choice([b" :", b"\t:", b"\x0b:", b" \t :"]), 1)


@_mutation
def other_space_after_colon(m: Message, rng: random.Random) -> None:
    m.lines = [line.replace(b": ", rng.choice([b":", b":\t", b":   ", b": \t "]), 1) for line in m.lines]


@_mutation
def line_without_colon(m: Message, rng: random.Random) -> None:
    m.add(rng.choice([b"nonsense", b"Transfer-Encoding chunked", b"Content-Length 0", b"\x00", b"GET / HTTP/1.1"]), rng)


@_mutation
def empty_name(m: Message, rng: random.Random) -> None:
    m.add(rng.choice([b": value", b":", b" : value", b":chunked"]), rng)


@_mutation
def bare_lf(m: Message, rng: random.Random) -> None:
    where = [-2, -1, *range(len(m.lines))]
    for index in rng.choice([where, [rng.choice(where)]]):
        m.ends[index] = b"\n"


@_mutation
def bare_cr(m: Message, rng: random.Random) -> None:
    m.ends[rng.choice([-2, -1, *range(len(m.lines))])] = rng.choice(b"\r|\r\r\n|\n\r|\r\n\r|\r\x00\n".split(b"|"))


@_mutation
def odd_end_of_head(m: Message, rng: random.Random) -> None:
    m.ends[-2] = rng.choice(b"\n|\r\r\n| \r\n|\t\r\n\r\n|\x00\r\n\r\n|\r\n\r\n|\x0b\r\n\r\n".split(b"|"))


@_mutation
def control_in_value(m: Message, rng: random.Random) -> None:
    bad = rng.choice(b"\x00|\x01|\x08|\x0b|\x0c|\x1b|\x7f|\x80|\xff|\r|\n".split(b"|"))
    m.add(b"X-Odd: a" + bad + b"b", rng)


@_mutation
def injected_by_an_odd_line_end(m: Message, rng: random.Random) -> None:
    end = rng.choice(b"\r|\n|\r\r|\n\n|\x85|\xe2\x80\xa8".split(b"|"))
    line = rng.choice([b"Content-Length: 0", b"Transfer-Encoding: chunked", b"X-Real-IP: " + LIE])
    m.add(b"X-Odd: a" + end + line, rng)


@_mutation
def byte_flipped(m: Message, rng: random.Random) -> None:
    index = rng.randrange(len(m.lines))
    line = bytearray(m.lines[index])
    line[rng.randrange(len(line))] = rng.randrange(256)
    m.lines[index] = bytes(line)


@_mutation
def long_line(m: Message, rng: random.Random) -> None:
    size = rng.choice([4_090, 8_190, 16_000, 33_000, 66_000, 140_000])
    which = rng.choice(["target", "value", "name", "many"])
    if which == "target":
        m.target += b"?" + b"a" * size
    elif which == "many":
        m.lines += [b"X-%d: y" % index for index in range(min(size // 40, 1_200))]
    else:
        m.add(b"X-Long: " + b"a" * size if which == "value" else b"X" * size + b": y", rng)


# ---- the request line ----


@_mutation
def old_version(m: Message, rng: random.Random) -> None:
    m.version = b"HTTP/1.0"
    if rng.random() < 0.5:
        m.add(b"Connection: keep-alive", rng)


@_mutation
def odd_version(m: Message, rng: random.Random) -> None:
    m.version = rng.choice(
        (
            b"HTTP/0.9|HTTP/1.2|HTTP/2.0|HTTP/1.10|HTTP/01.1|http/1.1|HTTP/1.1 |HTTP /1.1|HTTP/1,1|HTTP/1.1\x00|HTTP/11"
            b"|HTTP/+1.1|FTP/1.1|HTTP/1.|HTTP/1.1 HTTP/1.1|HTTP/3|HTTP/1.1;"
        ).split(b"|")
    )


@_mutation
def no_version(m: Message, rng: random.Random) -> None:
    m.version, m.gaps = b"", [m.gaps[0], rng.choice([b"", b" "])]


@_mutation
def odd_gap(m: Message, rng: random.Random) -> None:
    m.gaps[rng.randint(0, 1)] = rng.choice(b"  |\t|\x0b|\x0c|\r| \t|\x00|\xa0|\x85| \r".split(b"|"))


@_mutation
def before_the_request(m: Message, rng: random.Random) -> None:
    m.before = rng.choice([*b"\r\n|\n|\r\n\r\n|\r| |\t\r\n|\x00|\xef\xbb\xbf|PRI * ".split(b"|"), b"\r\n" * 20])


@_mutation
def odd_method(m: Message, rng: random.Random) -> None:
    odd = (
        b"HEAD|OPTIONS|PATCH|TRACE|CONNECT|get|Post|FOO|G\x00T|G T|GET:|PRI||\xffGET|POST\x0b|M-SEARCH|(GET)|GET,POST|+"
    )
    m.method = rng.choice([*odd.split(b"|"), b"P" * 300])


@_mutation
def odd_target(m: Message, rng: random.Random) -> None:
    odd = (
        b"http://example.comT~https://example.comT~HTTP://EXAMPLE.COM:443T~http://evil.exampleT~/T~//xT~T?a=b c"
        b"~T#fragment~T%0d%0aX: y~T%00~T\x00~T\xc3\xa4~T%~T%zz~T\\..\\x~T?\r~T\x0b~T HTTP/1.1\rX: y~T../inside~T;a=b"
        b"~T?Content-Length: 0~xT~http:T~http://user:pw@example.comT~http://example.com:99999T~http://[::1T"
        b'~ws://example.comT~T|{}^`<>"'
    )
    m.target = rng.choice(odd.split(b"~")).replace(b"T", m.target)


# ---- other headers that steer ----


@_mutation
def expect(m: Message, rng: random.Random) -> None:
    m.add(b"Expect: " + rng.choice(b"100-continue|100-Continue| 100-continue|101-x||100-continue, x".split(b"|")), rng)


@_mutation
def upgrade(m: Message, rng: random.Random) -> None:
    name = rng.choice([b"websocket", b"h2c", b"HTTP/2.0", b"TLS/1.0", b"x", b"websocket\x00"])
    m.lines += [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + name, b"HTTP2-Settings: AAMAAABkAAQAAP__"]
    if rng.random() < 0.5:
        m.lines += [b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    if rng.random() < 0.3:  # which made Gunicorn 20.0 take eight bytes for the body
        m.lines += [b"Sec-WebSocket-Key1: xx"]


@_mutation
def connection(m: Message, rng: random.Random) -> None:
    names = (
        b"close|keep-alive|close, keep-alive|Content-Length|Transfer-Encoding|Host|X-Request-Id|close\x00|,||te"
        b"|te, trailers|X-Forwarded-For, X-Real-IP|upgrade|CF-Connecting-IP"
    )
    which = rng.choice([b"Connection: ", b"Proxy-Connection: ", b"Keep-Alive: "])
    m.add(which + rng.choice(names.split(b"|")), rng)


@_mutation
def te_header(m: Message, rng: random.Random) -> None:
    m.add(b"TE: " + rng.choice([b"chunked", b"trailers", b"chunked, trailers", b"identity;q=0", b""]), rng)


@_mutation
def host(m: Message, rng: random.Random) -> None:
    odd = b"example.com, evil.example|example.com\x00|| example.com|example.com:443@evil.example|a b|evil.example"
    if rng.random() < 0.7:
        m.drop(b"Host")
    if rng.random() < 0.7:
        m.add(b"Host: " + rng.choice([HOST, *odd.split(b"|")]), rng)


@_mutation
def forged(m: Message, rng: random.Random) -> None:
    names = b"X-Forwarded-For|X_Forwarded_For|X-Real-IP|Forwarded|CF_Connecting_IP|X-Forwarded-For "
    for name in names.split(b"|"):
        if rng.random() < 0.5:
            m.add(name + b": " + rng.choice([LIE, LIE + b"\x00", LIE + b", 6.6.6.7", b""]), rng)


@_mutation
def encoded_body(m: Message, rng: random.Random) -> None:
    m.add(b"Content-Encoding: " + rng.choice([b"gzip", b"chunked", b"identity"]), rng)


@_mutation
def form(m: Message, rng: random.Random) -> None:
    m.add(
        b"Content-Type: " + rng.choice([b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x"]), rng
    )
