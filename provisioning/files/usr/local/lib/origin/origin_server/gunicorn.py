"""Gunicorn, with the app's own gunicorn.conf.py between our defaults and what the stack says.

https://docs.gunicorn.org/en/stable/custom.html, https://docs.gunicorn.org/en/stable/settings.html
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import Application

from origin_server.spec import STOP, Spec, cores, listen, processes


def sized(worker_class: str) -> dict[str, int]:
    """Workers and threads for this host.

    A sync worker serves one request at a time, so Gunicorn's own rule, twice the cores and one, is for it
    (https://docs.gunicorn.org/en/stable/design.html#how-many-workers). The others serve many: one a core uses all of
    the processor, and one more keeps serving while one is replaced.
    """
    if worker_class == "sync":
        return {"workers": processes(2 * cores() + 1), "threads": 1}
    return {"workers": processes(cores() + 1), "threads": 8 if worker_class == "gthread" else 1}


class Served(Application):
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        # Bound here for its mode: Gunicorn's own `umask` for it would be the app's as well.
        self.listener = listen(spec.socket)
        super().__init__()

    def load_config(self) -> None:
        self.set(self.spec.defaults | {"graceful_timeout": STOP, "worker_tmp_dir": "/dev/shm"})
        file = Path("gunicorn.conf.py")
        own = self.load_config_from_file(str(file)) if file.is_file() else {}
        chosen = self.spec.defaults | own | self.spec.options
        self.set({name: count for name, count in sized(chosen["worker_class"]).items() if name not in own})
        self.set(self.spec.options)
        self.set(
            {
                "bind": [f"fd://{self.listener.fileno()}"],
                "user": os.geteuid(),
                "group": os.getegid(),
                "initgroups": False,
                "daemon": False,
                "pidfile": None,
                "reload": False,
                "chdir": str(Path.cwd()),
                # What the proxy says is read by the hop, once for all servers.
                "secure_scheme_headers": {},
                "forwarder_headers": "",
                "proxy_protocol": "off",
                "accesslog": None,
                "control_socket_disable": True,
            }
        )

    def set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from origin_server.wsgi import application

        return application


def serve(spec: Spec) -> None:
    sys.argv = ["gunicorn"]
    Served(spec).run()
