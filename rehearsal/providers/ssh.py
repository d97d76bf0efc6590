"""A connection as pulumi-command makes it, by the system's own ssh from where the operator stands.

Keys never touch the disk or a command line: ssh reads them, like its configuration, from this process's memory files.
Source: pulumi-command 1.2.1, provider/pkg/provider/remote/connection.go.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rehearsal.cloud import network
from rehearsal.cloud.world import World
from rehearsal.providers.base import ApiError, Failure, Property, Props
from rehearsal.providers.shapes import nested, not_rehearsed

CONNECTION: Final = {
    "host": Property(required=True),
    "user": Property(default="root"),
    "port": Property(kind=(int, float), default=22),
    "privateKey": Property(secret=True),
    "privateKeyPassword": Property(secret=True),
    "password": Property(secret=True),
    "agentSocketPath": Property(),
    "dialErrorLimit": Property(kind=int, default=10),  # -1: no limit
    "perDialTimeout": Property(kind=int, default=15),  # seconds; 0: no limit
    "hostKey": Property(),  # not given: any is accepted
    "proxy": Property(kind=dict),
}
SESSION_LIMIT: Final = 30 * 60  # seconds; the real provider has none of its own
_HOST: Final = "pinned"  # the name under which the configuration knows the other side
_NOT_REHEARSED: Final = ("password", "privateKeyPassword", "proxy")


@dataclass(frozen=True)
class Session:
    """How a command on the other side ended."""

    code: int
    stdout: str
    stderr: str


def refused(connection: Any) -> Iterator[Failure]:
    """What is wrong with a connection."""
    if not isinstance(connection, dict):
        return  # its table says so
    yield from nested("connection", connection, CONNECTION)
    for failure in not_rehearsed(connection, _NOT_REHEARSED):
        yield Failure(f"connection.{failure.property}", failure.reason)
    port = connection.get("port")
    if isinstance(port, int | float) and not 0 < port < 65536:
        yield Failure("connection.port", f"must be a port from 1 to 65535, not {port}")
    for name in ("host", "user"):
        # They become lines of ssh's configuration.
        if isinstance(connection.get(name), str) and not re.fullmatch(r"[^\s\"'#%]+", connection[name]):
            yield Failure(
                f"connection.{name}", f"must be a name without white space or quotes, not {connection[name]!r}"
            )
    host_key = connection.get("hostKey")
    if isinstance(host_key, str) and (len(host_key.split()) < 2 or "\n" in host_key.strip()):
        yield Failure("connection.hostKey", "must be one public key as in authorized_keys, such as 'ssh-ed25519 AAAA…'")


def run(world: World, connection: Props, command: str, stdin: str | None, environment: Mapping[str, str]) -> Session:
    """Runs a command on the other side. Raises ApiError when it can't be reached."""
    return _dialled(world, connection, lambda ssh: [*ssh, _HOST, command], stdin or "", environment)


def sftp(world: World, connection: Props, batch: str) -> Session:
    """Runs sftp's commands, one a line; the first that fails ends it, unless it has a `-` before it."""
    # Not `sftp host`: it switches off the LocalCommand that tells a failed dial from a failed command.
    return _dialled(
        world,
        connection,
        lambda ssh: ["sftp", "-q", "-b", "-", "-D", " ".join([*ssh, "-s", _HOST, "sftp"])],
        batch,
        {},
    )


@contextlib.contextmanager
def memory_file(content: str | bytes, mode: int = 0o600) -> Iterator[str]:
    """A path that other processes of this user can open while the block runs; it is gone when this process is."""
    descriptor = os.memfd_create("rehearsal")
    try:
        os.fchmod(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _dialled(
    world: World,
    connection: Props,
    argv: Callable[[list[str]], list[str]],
    stdin: str,
    environment: Mapping[str, str],
) -> Session:
    key, host_key = connection.get("privateKey"), connection.get("hostKey")
    with contextlib.ExitStack() as files:
        identity = files.enter_context(memory_file(key if key.endswith("\n") else f"{key}\n")) if key else None
        pinned = files.enter_context(memory_file(f"{_HOST} {host_key.strip()}\n")) if host_key else None
        # ssh runs LocalCommand once it is logged in, before the session: what fails after it is not a failed dial.
        dialled = files.enter_context(memory_file(b""))
        text = _configuration(connection, identity=identity, known_hosts=pinned, dialled=dialled)
        text += "".join(f"SendEnv {name}\n" for name in environment)
        ssh = ["ssh", "-F", files.enter_context(memory_file(text)), "-T"]
        # LocalCommand is run by $SHELL.
        options = {"input": stdin.encode(), "env": {**os.environ, "SHELL": "/bin/sh", **environment}}
        # When this process is killed, so is ssh: nothing of a rehearsal goes on by itself.
        command = ["setpriv", "--pdeathsig", "KILL", *argv(ssh)]
        return _retried(world, connection, command, dialled, options)


def _retried(world: World, connection: Props, argv: list[str], dialled: str, options: dict[str, Any]) -> Session:
    """Tries until the dial succeeds or the connection's limit of failed ones is passed."""
    limit = connection["dialErrorLimit"]
    deadline, delay = time.monotonic() + SESSION_LIMIT, 0.1
    for failures in itertools.count(1):
        try:
            done = network.exec_in(
                world,
                "operator",
                argv,
                capture_output=True,
                timeout=max(1, deadline - time.monotonic()),
                **options,
            )
        except subprocess.TimeoutExpired as late:
            raise ApiError(f"gave up after {SESSION_LIMIT} s: {connection['host']} did not finish") from late
        stdout, stderr = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        if done.returncode == 0 or Path(dialled).stat().st_size:
            return Session(done.returncode, stdout, stderr)
        if (limit > -1 and failures > limit) or time.monotonic() > deadline:
            last = (stderr.strip().splitlines() or ["ssh said nothing"])[-1]
            raise ApiError(f"after {failures - 1} failed attempts: {connection['host']}: {last}")
        # The delays of pulumi's sdk/go/common/util/retry.
        time.sleep(delay)
        delay = min(delay * 1.5, 5)
    raise AssertionError("unreachable")


def _configuration(connection: Props, *, identity: str | None, known_hosts: str | None, dialled: str) -> str:
    agent = connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or "none"
    lines = {
        "HostName": connection["host"],
        "Port": int(connection["port"]),
        "User": connection["user"],
        "BatchMode": "yes",
        "IdentityFile": identity or "none",
        "IdentitiesOnly": "yes" if identity else "no",
        "IdentityAgent": "none" if identity else agent,
        "PreferredAuthentications": "publickey",
        "HostKeyAlias": _HOST,
        "StrictHostKeyChecking": "yes" if known_hosts else "no",
        "UserKnownHostsFile": known_hosts or "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ConnectionAttempts": 1,
        "ConnectTimeout": connection["perDialTimeout"],
        # A machine whose power is cut answers nothing: without these a session would wait for it for ever.
        "ServerAliveInterval": 10,
        "ServerAliveCountMax": 3,
        "PermitLocalCommand": "yes",
        "LocalCommand": f"echo yes > {dialled}",
        "LogLevel": "ERROR",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())
