"""WebSockets: for the servers that give the app its connection; from the others a plain no in place of a puzzle.

What an app takes the connection with (simple-websocket, under Flask-Sock and Flask-SocketIO) finds it in the environ,
where Gunicorn, gevent and Eventlet put it. Gunicorn's sync workers do so too, but would serve nobody else meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from origin_server.hop import App, Environ


def able(environ: Environ) -> bool:
    """Whether the server of this request can give its connection to the app."""
    return (
        ("gunicorn.socket" in environ and environ["wsgi.multithread"])
        or "eventlet.input" in environ
        or environ.get("SERVER_SOFTWARE", "").startswith("gevent/")
    )


def or_refused(app: App, server: str) -> App:
    """`app`, but 501 for an upgrade to WebSocket where `server` can't do it."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        # A body would have to end before the connection is the app's: who sends one asks for no upgrade.
        if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
            environ.pop("HTTP_UPGRADE", None)
        if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or able(environ):
            return app(environ, start_response)
        text = f"WebSockets are not to be had here: the server is {server}.\n".encode()
        start_response("501 Not Implemented", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text]

    return application
