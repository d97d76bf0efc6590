"""What requests a stream of bytes holds by RFC 9112, read in the most lenient way that it allows.

Whoever finds fewer in it than are read here was stricter, which is his right. Whoever finds others was tricked.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/(\d)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    target: str
    length: int
    """Of the body, in bytes, and its SHA-256."""
    sha256: str


@dataclass(kw_only=True)
class Reading:
    requests: list[Request] = field(default_factory=list)
    """Whole ones, in order."""
    end: Literal["whole", "cut", "refused", "closed"] = "whole"
    """closed: more bytes came after a request that is the last of its connection."""
    remarks: list[str] = field(default_factory=list)
    """What is not as a careful sender would write it, and why the rest was refused."""


class _Refused(Exception):
    pass


class _Cut(Exception):
    pass


def read(data: bytes, *, loosely: bool = False) -> Reading:
    """Never raises: what can't be read is the reading's end.

    loosely: Transfer-Encoding counts in HTTP/1.0 too, which is not defined (6.1), and white space ends a chunk's size
    whatever follows, as in nginx.
    """
    stream, reading = _Stream(data), Reading()
    try:
        while stream.left:
            request, last = _request(stream, reading.remarks, loosely=loosely)
            if request:
                reading.requests.append(request)
            if last and stream.left:
                reading.end = "closed"
                break
    except _Cut:
        reading.end = "cut"
    except _Refused as why:
        reading.end = "refused"
        reading.remarks.append(str(why))
    return reading


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise _Cut
        self._at += count
        return self._data[self._at - count : self._at]

    def line(self) -> tuple[bytes, bool]:
        """Up to a LF and without it; whether a CR came before that, which is taken off too."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise _Cut
        line = self.take(end + 1 - self._at)[:-1]
        return (line[:-1], True) if line.endswith(b"\r") else (line, False)


def _request(stream: _Stream, remarks: list[str], *, loosely: bool) -> tuple[Request | None, bool]:
    """One request, None for an empty line before one, and whether it is the last of its connection."""
    first = _head_line(stream, remarks)
    if not first:
        remarks.append("empty line before a request")
        return None, False
    method, target, version = _request_line(first, remarks)
    fields = _fields(stream, remarks)
    body = _body(stream, fields, remarks, chunks=version >= ((1, 0) if loosely else (1, 1)), loosely=loosely)
    connection = _items(b",".join(fields.get(b"connection", [])))
    last = b"close" in connection or (version < (1, 1) and b"keep-alive" not in connection)
    return (
        Request(
            method=method.decode("latin-1"),
            target=target.decode("latin-1"),
            length=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
        ),
        last,
    )


def _head_line(stream: _Stream, remarks: list[str]) -> bytes:
    """2.2: a lone LF may end a line; a CR elsewhere, and by RFC 9110, 5.5 a NUL, may be read as a space."""
    line, complete = stream.line()
    if not complete:
        remarks.append("a line ends in LF alone")
    if b"\r" in line or b"\0" in line:
        remarks.append("CR or NUL within a line")
        line = line.replace(b"\r", b" ").replace(b"\0", b" ")
    return line


def _request_line(line: bytes, remarks: list[str]) -> tuple[bytes, bytes, tuple[int, int]]:
    """3: its parts may be found by any white space."""
    parts = line.split(b" ")
    if len(parts) != 3 or any(not part or re.search(rb"[\s\x00-\x20\x7f]", part) for part in parts):
        remarks.append("white space in the request line")
        parts = [part for part in re.split(rb"[ \t\v\f\r]+", line) if part]
    if len(parts) != 3 or not (version := _VERSION.fullmatch(parts[2])):
        raise _Refused("no request line of three parts")
    if not _TOKEN.fullmatch(parts[0]):
        raise _Refused("a method that is no token")
    return parts[0], parts[1], (int(version[1]), int(version[2]))


def _fields(stream: _Stream, remarks: list[str]) -> dict[bytes, list[bytes]]:
    """Values by name in lower case, folded lines joined, up to the empty line."""
    fields: dict[bytes, list[bytes]] = {}
    name = b""
    while line := _head_line(stream, remarks):
        if line[:1] in (b" ", b"\t"):
            remarks.append("a folded line")
            if name:  # 2.2: before the first field such lines may be dropped
                fields[name][-1] += b" " + line.strip(b" \t")
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            remarks.append("a field without a colon")
            name = b""
            continue
        if name != name.rstrip(b" \t\v\f"):
            raise _Refused("white space before a colon")  # 5.1
        if not _TOKEN.fullmatch(name):
            remarks.append("a field name that is no token")
        name = name.lower()
        fields.setdefault(name, []).append(value.strip(b" \t"))
    return fields


def _body(
    stream: _Stream, fields: dict[bytes, list[bytes]], remarks: list[str], *, chunks: bool, loosely: bool
) -> bytes:
    """6.3."""
    lengths = fields.get(b"content-length")
    if b"transfer-encoding" in fields and not chunks:
        remarks.append("Transfer-Encoding in HTTP/1.0, which has none")
    elif b"transfer-encoding" in fields:
        codings = [coding for coding in _items(b",".join(fields[b"transfer-encoding"])) if coding]
        if codings != [b"chunked"] or fields[b"transfer-encoding"] != [b"chunked"]:
            remarks.append("Transfer-Encoding that is not just chunked")
        if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1:
            raise _Refused("chunked is not the last coding, once")
        if lengths:
            remarks.append("Transfer-Encoding and Content-Length")
        return _chunked(stream, remarks, loosely=loosely)
    if not lengths:
        return b""
    values = {item for length in lengths for item in length.replace(b"\t", b" ").split(b",")}
    numbers = {value.strip(b" ") for value in values}
    if len(lengths) > 1 or b"," in lengths[0]:
        remarks.append("more than one Content-Length")
    if numbers == {b""}:
        remarks.append("an empty Content-Length, which Go takes for none")
        return b""
    if len(numbers) > 1 or not re.fullmatch(rb"[0-9]+", number := numbers.pop()):
        raise _Refused("Content-Length that is not one number")
    return stream.take(int(number))


def _chunked(stream: _Stream, remarks: list[str], *, loosely: bool) -> bytes:
    """7.1."""
    body = b""
    while True:
        line, complete = stream.line()
        size, semicolon, extension = line.partition(b";")
        if semicolon or size != size.strip(b" \t"):
            remarks.append("something behind a chunk's size")
        if not complete:
            remarks.append("a chunk's line ends in LF alone")  # not what 2.2 allows, but what many servers do
        if b"\r" in extension:
            raise _Refused("CR in a chunk extension")
        if loosely:
            size = re.split(rb"[ \t]", size)[0]
        if not re.fullmatch(rb"[0-9A-Fa-f]+", size.rstrip(b" \t")):  # white space may come before the semicolon
            raise _Refused("a chunk size that is no hexadecimal number")
        count = int(size, 16)
        if not count:
            break
        body += stream.take(count)
        if (end := stream.line()[0]) != b"":
            raise _Refused(f"a chunk's data that is followed by {end[:9]!r}")
    while line := _head_line(stream, remarks):  # trailers, which nobody has to look at
        if b":" not in line:
            remarks.append("a trailer without a colon")
    return body


def _items(value: bytes) -> list[bytes]:
    return [item.strip(b" \t").lower() for item in value.split(b",")]
