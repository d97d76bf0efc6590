"""uWSGI over HTTP, and its own protocol too where the stack says so.

The app's own uwsgi.ini stands between our defaults and what the stack says.

https://uwsgi-docs.readthedocs.io/en/latest/Options.html, and for what is best set:
https://uwsgi-docs.readthedocs.io/en/latest/ThingsToKnow.html
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from origin_server.spec import STOP, Spec, cores, processes

OURS = re.compile(
    r"\s*((https?|fastcgi|scgi|uwsgi|raw|puwsgi|upd|ssl|zeromq|ugreen)?-?(modifier1-)?socket\S*|https?|https?-to|http2?-\S+"
    r"|fastrouter\S*|u?id|g?id|chmod-socket|chown-socket|abstract-socket|chdir2?|module|wsgi|wsgi-file|file|mount"
    r"|callable|home|virtualenv|venv|pyhome|pythonpath|daemonize2?|logto2?|log-?to\S*|pidfile2?|safe-pidfile2?"
    r"|touch-\S+|py-autoreload|python-autoreload|stats\S*|master|emperor\S*|http-socket\S*|plugins?|chroot)\s*=",
)
"""Lines of the app's file that don't count here: who listens where, as whom, which app, and where logs go."""


def own(text: str) -> Iterator[str]:
    """The [uwsgi] section's lines that the app may decide."""
    inside = False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.strip() == "[uwsgi]"
        elif inside and line.strip() and line.strip()[0] not in ";#" and not OURS.match(line.replace("_", "-")):
            yield line.replace("%d", f"{Path.cwd()}/")


def lines(options: dict[str, object]) -> Iterator[str]:
    for name, value in options.items():
        if value is not None and name != "protocol":  # which is ours, and means another thing to uWSGI
            yield f"{name.replace('_', '-')} = {str(value).lower() if isinstance(value, bool) else value}"


def configuration(spec: Spec, file: str) -> str:
    """The whole ini: what comes later wins."""
    chosen = spec.defaults | spec.options
    # One process a core uses all of the processor, and one more serves while another is replaced.
    sized = {"processes": processes(cores() + 1)}
    if not chosen.get("gevent"):
        sized["threads"] = 8
    ours = {
        "http_socket": spec.socket,
        "chmod_socket": "660",
        "module": "origin_server.wsgi:application",
        "virtualenv": sys.prefix,
        "master": True,
        "strict": True,  # an option that does not exist is an error
        "need_app": True,
        "single_interpreter": True,
        "enable_threads": True,
        # SIGTERM would reload, and die-on-term would cut what is under way.
        "hook_master_start": "unix_signal:15 gracefully_kill_them_all",
        "vacuum": True,
        "lazy_apps": True,  # each process opens its own connections to databases
        "disable_logging": True,  # the hop writes the access log
        "worker_reload_mercy": STOP,
    }
    if spec["protocol"] == "uwsgi":
        # Whoever opens it can have code run (UWSGI_FILE): it is the proxy's group's alone, as the other is.
        # https://uwsgi-docs.readthedocs.io/en/latest/DynamicApps.html
        ours["uwsgi_socket"] = f"{Path(spec.socket).with_name('uwsgi')}/app.sock"
    if chosen.get("gevent"):
        ours["gevent_monkey_patch"] = True
    return "\n".join(["[uwsgi]", *lines(sized | spec.defaults), *own(file), *lines(spec.options), *lines(ours), ""])


def serve(spec: Spec) -> None:
    file = Path("uwsgi.ini")
    text = file.read_text() if file.is_file() else ""
    # pyuwsgi runs in a Python that has read its environment by then; what the stack sets stays.
    for line in own(text):
        if found := re.match(r"\s*env\s*=\s*(\w+)=(.*)", line):
            os.environ.setdefault(found[1], found[2].strip())
    if spec["protocol"] == "uwsgi":
        Path(spec.socket).with_name("uwsgi").mkdir(0o750, exist_ok=True)
    ini = Path(spec.socket).with_name("uwsgi.ini")
    ini.write_text(configuration(spec, text))
    program = Path(sys.prefix) / "bin/uwsgi"
    os.execv(program, [str(program), "--ini", str(ini)])
