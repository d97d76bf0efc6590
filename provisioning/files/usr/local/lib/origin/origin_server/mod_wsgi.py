"""Apache with mod_wsgi, both Debian's: an Apache of the release's own, as the app's user.

Apache listens on no unix socket, only on ports, and any process of the host could connect to one on loopback. So the
release's socket is opened here, and each connection is carried to Apache behind a PROXY protocol line whose address is
a secret of 128 bits; Apache serves that address alone.
https://modwsgi.readthedocs.io/en/master/configuration-directives/WSGIDaemonProcess.html
https://httpd.apache.org/docs/2.4/mod/mod_remoteip.html#remoteipproxyprotocol
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
import sys
from pathlib import Path

from origin_server.spec import STOP, Spec, cores, listen, processes

APACHE, MODULES = "/usr/sbin/apache2", "/usr/lib/apache2/modules"


def configuration(spec: Spec, port: int, secret: str) -> str:
    folder, here = Path(spec.socket).parent, Path(__file__).parent
    paths = ":".join(path for path in sys.path if path)
    daemon = {
        # One process a core uses all of the processor, and one more serves while another is replaced.
        "processes": spec["processes"] or processes(cores() + 1),
        "threads": spec["threads"],
        "python-home": sys.prefix,
        "python-path": paths,
        "request-timeout": spec["request_timeout"],
        "maximum-requests": spec["maximum_requests"],
        "graceful-timeout": STOP,
        "shutdown-timeout": STOP,
    }
    return "\n".join(
        [
            f"ServerRoot {folder}",
            f"DefaultRuntimeDir {folder}",
            f"PidFile {folder}/apache.pid",
            "ServerName localhost",
            f"Listen 127.0.0.1:{port}",
            *(
                f"LoadModule {name}_module {MODULES}/mod_{name}.so"
                for name in ("mpm_event", "authz_core", "authz_host", "remoteip", "wsgi")
            ),
            'ErrorLog "|/usr/bin/cat"',
            'ErrorLogFormat "%M"',
            "KeepAlive Off",
            f"Timeout {spec['timeout']}",
            f"LimitRequestLine {spec['limit_request_line']}",
            f"LimitRequestFields {spec['limit_request_fields']}",
            f"LimitRequestFieldSize {spec['limit_request_field_size']}",
            "LimitRequestBody 0",  # the proxy has the limit
            "AllowEncodedSlashes NoDecode",
            "RemoteIPProxyProtocol On",
            f"WSGISocketPrefix {folder}/wsgi",
            "WSGIChunkedRequest On",
            "WSGIDaemonProcess app " + " ".join(f"{name}={value}" for name, value in daemon.items()),
            "WSGIProcessGroup app",
            "WSGIApplicationGroup %{GLOBAL}",
            f"WSGIImportScript {here}/wsgi.py process-group=app application-group=%{{GLOBAL}}",
            f"WSGIScriptAlias / {here}/wsgi.py",
            "<Location />",
            f"Require ip {secret}",
            "</Location>",
            "",
        ]
    )


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def serving(listener: socket.socket, port: int, secret: str, apache: list[str]) -> int:
    """Until Apache ends; its exit code."""
    under_way: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        under_way.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            up_writer.write(f"PROXY TCP6 {secret} ::1 1 1\r\n".encode())
            await asyncio.gather(carry(reader, up_writer), carry(up_reader, writer))
            up_writer.close()
        except OSError as error:
            print(f"Apache can't be reached: {error}", flush=True)
        finally:
            writer.close()
            under_way.discard(task)

    child = await asyncio.create_subprocess_exec(*apache)

    async def stop() -> None:
        server.close()
        if under_way:
            await asyncio.wait(under_way, timeout=STOP)
        child.terminate()

    stopping: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: stopping.append(asyncio.create_task(stop())))
    server = await asyncio.start_unix_server(connected, sock=listener)
    return await child.wait()


def serve(spec: Spec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    secret = str(ipaddress.IPv6Address(secrets.randbits(128)))
    file = Path(spec.socket).with_name("apache.conf")
    file.touch(0o600)
    file.write_text(configuration(spec, port, secret))
    apache = [APACHE, "-D", "FOREGROUND", "-f", str(file)]
    sys.exit(asyncio.run(serving(listen(spec.socket), port, secret, apache)))
