from __future__ import annotations

import io
from typing import Any

import pytest

from origin_server import chunks

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}


def test_a_body_by_the_piece_reads_as_one() -> None:
    pieces = iter([b"ab", b"cde", b""])
    assert io.BufferedReader(chunks.Chunks(lambda: next(pieces))).read() == b"abcde"


@pytest.mark.parametrize(
    ("said", "body", "status"),
    [
        (CHUNKED, b"abc" * 100_000, "200 OK"),
        (CHUNKED, b"", "400 Bad Request"),
        ({}, b"", "200 OK"),
        ({"CONTENT_LENGTH": "0"}, b"", "200 OK"),
    ],
)
def test_the_app_does_not_run_for_a_chunked_body_that_granian_could_not_read(
    said: dict[str, str], body: bytes, status: str
) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    statuses: list[str] = []
    list(chunks.of_granian(app)({**said, "wsgi.input": io.BytesIO(body)}, lambda status, _: statuses.append(status)))
    assert statuses == [status]
    assert seen == ([body] if status == "200 OK" else [])
