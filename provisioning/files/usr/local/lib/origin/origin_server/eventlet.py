"""Eventlet's own server: one process, one green thread a connection.

https://eventlet.readthedocs.io/en/latest/modules/wsgi.html
"""

from __future__ import annotations

import signal

import eventlet
import eventlet.wsgi

from origin_server.spec import STOP, Spec, listen


def serve(spec: Spec) -> None:
    eventlet.monkey_patch()  # before anything of the app's is imported
    from origin_server.wsgi import application

    pool = eventlet.GreenPool(spec["max_size"])
    serving = eventlet.spawn(
        eventlet.wsgi.server,
        listen(spec.socket),
        application,
        custom_pool=pool,
        url_length_limit=spec["url_length_limit"],
        socket_timeout=spec["socket_timeout"],
        log_output=False,
        debug=False,
    )
    stopped = eventlet.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.send())
    stopped.wait()
    serving.kill()
    with eventlet.Timeout(STOP, False):
        pool.waitall()
