"""The path, where a proxy leaves it to us."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from origin_server.hop import App, Environ


def of_apache(app: App) -> App:
    """`app` with the path in PATH_INFO: Apache, in uWSGI's own protocol, puts it where a mount belongs.

    It would have an encoded slash for an error and take a second one away; so it is told "/" alone, and only the target
    as the visitor wrote it is right. https://github.com/apache/httpd/blob/2.4.62/modules/proxy/mod_proxy_uwsgi.c
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("SCRIPT_NAME"):
            target = environ["REQUEST_URI"].partition("?")[0]
            environ |= {"SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(target).decode("latin-1")}
        return app(environ, start_response)

    return application
