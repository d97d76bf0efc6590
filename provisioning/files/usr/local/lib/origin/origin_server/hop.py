"""The one hop in front of the app, written into its WSGI environ: what the proxy says is what the app sees.

Whoever opens the release's socket is the proxy, and it sends exactly one value of each header that is read here.
No server sets REMOTE_ADDR on a unix socket, and the app need not bring Werkzeug's ProxyFix.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
KEPT = {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"}


def behind_one_hop(app: App, access_log: bool) -> App:
    """`app` with the visitor's REMOTE_ADDR, the site's Host and https; a line on stdout for each request if asked.

    The proxy gives every request an id. What has none is the release tool's health check, which asks twenty times a
    second and would hide in the journal why a release is not healthy.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        correct(environ)
        told = access_log and "HTTP_X_REQUEST_ID" in environ
        return app(environ, logged(environ, start_response) if told else start_response)

    return application


def correct(environ: Environ) -> None:
    for name in [n for n in environ if n == "HTTP_FORWARDED" or (n.startswith("HTTP_X_FORWARDED_") and n not in KEPT)]:
        del environ[name]
    if visitor := environ.get("HTTP_X_FORWARDED_FOR", "").strip():
        environ["REMOTE_ADDR"] = visitor
        environ.pop("REMOTE_PORT", None)
        environ.pop("REMOTE_HOST", None)
    if scheme := environ.get("HTTP_X_FORWARDED_PROTO"):
        environ["wsgi.url_scheme"] = scheme
    if host := environ.get("HTTP_X_FORWARDED_HOST"):
        name, _, port = host.partition(":")
        environ |= {"HTTP_HOST": host, "SERVER_NAME": name, "SERVER_PORT": port or "443"}
    # A chunked body ends by itself in every server here, also in those that do not say so: without this Werkzeug reads
    # none. Of a body with a length it must not be said: Werkzeug would no longer notice that one was cut short.
    environ.pop("wsgi.input_terminated", None)
    if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
        environ["wsgi.input_terminated"] = True


def logged(environ: Environ, start_response: Callable[..., Any]) -> Callable[..., Any]:
    began = time.perf_counter()

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
        milliseconds = 1000 * (time.perf_counter() - began)
        sys.stdout.write(  # whole lines: threads share the stream
            f'{environ.get("REMOTE_ADDR") or "-"} "{environ["REQUEST_METHOD"]} {path}" {status[:3]}'
            f" {milliseconds:.0f}ms {environ['HTTP_X_REQUEST_ID']}\n"
        )
        sys.stdout.flush()
        return start_response(status, headers, *exc_info)

    return start
