"""The reading by which all others are judged."""

from __future__ import annotations

import hashlib

import pytest

from tests.provisioning.smuggling import generator, http1, http2, reading

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
NEXT = b"GET /next HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"\r\n", b""),
        (b"Content-Length: 0\r\n\r\n", b""),
        (b"Content-Length:\t003 \r\n\r\nabc", b"abc"),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"Content-Length: 3, 3\r\n\r\nabc", b"abc"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
        (b"transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n00\r\n\r\n", b"abc"),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", b"abc"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"Transfer-Encoding:\r\n chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"Transfer-Encoding\xa0: chunked\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"Content_Length: 5\n\r\n", b""),
        (b"Content-Length: \r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", b"abc"),
        (b"Content-Length 5\r\n 6\r\n\r\n", b""),
    ],
)
def test_a_body_ends_where_the_rfc_ends_it(framing: bytes, body: bytes) -> None:
    found = reading.read(HEAD + framing + NEXT)
    assert found.end == "whole"
    assert [request.target for request in found.requests] == ["/", "/next"]
    assert found.requests[0].length == len(body)
    assert found.requests[0].sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    "framing",
    [
        *(b"Content-Length: %s\r\n\r\nabc" % value for value in (b"+3", b"-3", b"0x3", b"3.", b"3 3", b"3, 4")),
        *(b"Content-Length%s: 3\r\n\r\nabc" % space for space in (b" ", b"\t", b"\x0b")),
        *(b"Transfer-Encoding: %s\r\n\r\n0\r\n\r\n" % value for value in (b"chunked, gzip", b"\x0bchunked", b"x", b"")),
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        *(b"Transfer-Encoding: chunked\r\n\r\n%s\r\nabc\r\n0\r\n\r\n" % size for size in (b"0x3", b"+3", b" 3", b"3g")),
        b"Transfer-Encoding: chunked\r\n\r\n3;\rabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\r\n0\r\n\r\n",
    ],
)  # fmt: skip
def test_what_must_be_refused_holds_no_request(framing: bytes) -> None:
    found = reading.read(HEAD + framing + NEXT)
    assert (found.requests, found.end) == ([], "refused")
    assert found.remarks


@pytest.mark.parametrize(
    ("wire", "end", "whole"),
    [
        (HEAD + b"Content-Length: 4\r\n\r\nabc", "cut", 0),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "cut", 0),
        (HEAD[:-1], "cut", 0),
        (b"", "whole", 0),
        (HEAD + b"Connection: close\r\n\r\n", "whole", 1),
        (HEAD + b"Connection: x, CLOSE\r\n\r\n" + NEXT, "closed", 1),
        (b"GET / HTTP/1.0\r\n\r\n" + NEXT, "closed", 1),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + NEXT, "whole", 2),
    ],
)
def test_where_it_ends(wire: bytes, end: str, whole: int) -> None:
    found = reading.read(wire)
    assert (found.end, len(found.requests)) == (end, whole)


def test_a_careful_sender_draws_no_remark_and_a_careless_one_does() -> None:
    assert not reading.read(HEAD + b"Content-Length: 3\r\n\r\nabc" + NEXT).remarks
    for careless in (HEAD.replace(b"\r", b"", 1), b"\r\n" + HEAD, HEAD + b"a b: c\r\n", HEAD + b"a: b\r\n c\r\n"):
        assert reading.read(careless + b"\r\n").remarks


def test_the_cases_are_the_same_each_time_and_try_all_there_is() -> None:
    cases = [generator.case(1, number, with_http2=True) for number in range(1_000)]
    assert cases == [generator.case(1, number, with_http2=True) for number in range(1_000)]
    assert cases[0] != generator.case(2, 0, with_http2=True)
    assert {name for case in cases for name in case.mutations} == {*http1.MUTATIONS, *http2.MUTATIONS}
