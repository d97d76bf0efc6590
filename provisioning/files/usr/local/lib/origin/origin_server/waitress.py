"""Waitress: one process, threads.

https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
"""

from __future__ import annotations

import waitress

from origin_server.spec import Spec, listen


def serve(spec: Spec) -> None:
    from origin_server.wsgi import application

    waitress.serve(
        application,
        sockets=[listen(spec.socket)],
        **{**spec.defaults, **spec.options},
        # The proxy has the real limit; Waitress's own default of 1 GiB would be a second, silent one.
        max_request_body_size=1 << 40,
        clear_untrusted_proxy_headers=False,  # the hop reads them
        asyncore_use_poll=True,  # select() ends at file descriptor 1023
    )
