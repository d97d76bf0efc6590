"""Granian: Rust outside, the app's threads inside; processes that are watched and replaced.

https://github.com/emmett-framework/granian#options
"""

from __future__ import annotations

from pathlib import Path

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from origin_server.spec import STOP, Spec, cores, processes


def serve(spec: Spec) -> None:
    Server(
        "origin_server.wsgi:application",
        uds=Path(spec.socket),
        uds_permissions=0o660,
        interface=Interfaces.WSGI,
        # One process a core uses all of the processor, and one more serves while another is replaced.
        workers=spec["workers"] or processes(cores() + 1),
        blocking_threads=spec["blocking_threads"],
        backlog=spec["backlog"],
        backpressure=spec["backpressure"],
        workers_lifetime=spec["workers_lifetime"],
        workers_max_rss=spec["workers_max_rss"],
        workers_kill_timeout=STOP,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        http1_settings=HTTP1Settings(
            header_read_timeout=spec["http1_header_read_timeout"], max_buffer_size=spec["http1_buffer_size"]
        ),
        websockets=False,
    ).serve()
