"""Twisted Web: one process, an event loop that reads and writes, and threads that the app runs in.

https://docs.twisted.org/en/stable/web/howto/web-in-60/wsgi.html
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool
from twisted.web.server import Request, Site
from twisted.web.wsgi import WSGIResource

from origin_server.spec import STOP, Spec


class OnUnixSocket(Request):
    """Twisted's WSGI asks for addresses with host and port, which a unix socket lacks; the hop sets the real ones."""

    under_way = 0

    def process(self) -> None:
        OnUnixSocket.under_way += 1
        self.notifyFinish().addBoth(OnUnixSocket.done)
        super().process()

    @staticmethod
    def done(_: object) -> None:
        OnUnixSocket.under_way -= 1

    def getClientAddress(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 0)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 443)


def serve(spec: Spec) -> None:
    from origin_server.wsgi import application

    threads = ThreadPool(maxthreads=spec["threads"], name="app")
    threads.start()
    site = Site(WSGIResource(reactor, threads, application), OnUnixSocket, timeout=spec["timeout"])
    with contextlib.suppress(FileNotFoundError):
        Path(spec.socket).unlink()
    port = reactor.listenUNIX(spec.socket, site, backlog=2048, mode=0o660)

    def drained() -> Deferred[None]:
        """Twisted itself would cut what is under way."""
        port.stopListening()
        deadline, quiet = time.monotonic() + STOP, Deferred()

        def look() -> None:
            if OnUnixSocket.under_way and time.monotonic() < deadline:
                reactor.callLater(0.05, look)
            else:
                quiet.callback(None)

        look()
        return quiet

    reactor.addSystemEventTrigger("before", "shutdown", drained)
    reactor.run()
    os._exit(0)  # a thread that the app holds would be waited for without a bound
