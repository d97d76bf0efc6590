"""gevent's own server: one process, one greenlet a request.

https://www.gevent.org/api/gevent.pywsgi.html
"""

from __future__ import annotations

import signal
from typing import Any

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from origin_server.spec import STOP, Spec, listen


class Handler(WSGIHandler):
    def _connection_upgrade_requested(self) -> bool:
        """Then gevent gives the app the bare connection to read: never where there is a body, which ends somewhere."""
        framed = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        return not framed and super()._connection_upgrade_requested()

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """The end of the server's time is no 500 to write into a WebSocket that is open."""
        if isinstance(v, gevent.GreenletExit) and self._connection_upgrade_requested():
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)


def serve(spec: Spec) -> None:
    monkey.patch_all()  # before anything of the app's is imported
    from origin_server.wsgi import application

    listener = listen(spec.socket, spec["backlog"])
    listener.setblocking(False)
    server = WSGIServer(listener, application, spawn=Pool(spec["spawn"]), log=None, handler_class=Handler)
    server.start()
    stopped = Event()
    gevent.signal_handler(signal.SIGTERM, stopped.set)
    stopped.wait()
    server.stop(timeout=STOP)
