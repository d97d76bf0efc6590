"""Chunked bodies, where a server leaves something of them to us."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

from origin_server.hop import App, Environ


class Chunks(io.RawIOBase):
    """A body that comes by the piece; an empty one is its end."""

    def __init__(self, next_chunk: Callable[[], bytes]) -> None:
        self.next_chunk, self.left = next_chunk, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.left = self.left or memoryview(self.next_chunk())
        count = min(len(buffer), len(self.left))
        buffer[:count], self.left = self.left[:count], self.left[count:]
        return count


def of_uwsgi(app: App) -> App:
    """`app` with chunked bodies in wsgi.input, as the other servers have them: uWSGI is asked for each chunk."""
    import uwsgi  # pyright: ignore[reportMissingModuleSource]

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
            environ["wsgi.input"] = io.BufferedReader(Chunks(uwsgi.chunked_read))
        return app(environ, start_response)

    return application


def of_granian(app: App) -> App:
    """`app` without the requests whose chunked body broke off: Granian runs it for those too.

    Read by the piece, such a body just ends; read at once, it is empty. So is an honest empty one, but who has nothing
    to send does not send it in chunks.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ:
            body = environ["wsgi.input"].read()
            if not body:
                start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", "0")])
                return []
            environ["wsgi.input"] = io.BytesIO(body)
        return app(environ, start_response)

    return application
