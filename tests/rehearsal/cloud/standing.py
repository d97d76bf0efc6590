"""What the tests of machines do again and again: boot one, wait for it, knock on its ports."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from rehearsal.cloud import firewall, machine, network
from rehearsal.cloud.world import World

USER_DATA = """\
#cloud-config
user: {name: deploy, sudo: ["ALL=(ALL) NOPASSWD:ALL"]}
write_files: [{path: /etc/motd, content: "written by cloud-init\\n"}]
runcmd: [[sh, -c, "echo first boot >> /root/boots"]]
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUSYHLL5ZcTxDFzgNCkQeBwNi7uY1/NOqXGIVXcXcXc operator"

_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
    print("open")
except TimeoutError:
    print("filtered")
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error.strerror)
"""


@contextlib.contextmanager
def booted(world: World, id: str, user_data: str = USER_DATA) -> Iterator[machine.Addresses]:
    """A machine for the length of a test."""
    found = machine.addresses(world, "digitalocean")
    machine.create(
        world, id, hostname=id, user_data=user_data, public_keys=[KEY], ipv4=found.ipv4, ipv6=found.ipv6, progress=print
    )
    try:
        yield found
    finally:
        machine.destroy(world, id)


def commands() -> list[str]:
    """The command line of every process on this computer."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            found.append(path.read_bytes().decode(errors="replace"))
    return found


def until(seen: Callable[[], object], *, seconds: float = 60) -> None:
    """Waits until it is seen; fails when it is not within the time."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not seen within {seconds} s"
        time.sleep(0.1)


def cloud_init_done(world: World, id: str) -> bool:
    return (Path(f"/proc/{machine.init_pid(world, id)}/root") / "run/cloud-init/result.json").exists()


def output(world: World, id: str, *argv: str) -> str:
    """What the command in the machine wrote; fails with all of it when the command did."""
    done = machine.execute(world, id, argv, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def knock(world: World, place: str, address: str, port: int, *, seconds: float = 1) -> str:
    """ "open", "refused", "filtered" (no answer at all), or another error in words."""
    argv = [sys.executable, "-c", _KNOCK, address, str(port), str(seconds)]
    return network.exec_in(world, place, argv, capture_output=True, text=True, check=True).stdout.strip()


def listen(world: World, id: str, *ports: int) -> None:
    """Makes the machine answer on TCP ports, in both families."""
    for port in ports:
        unit = ["systemd-run", "--quiet", f"--unit=listen-{port}", "python3", "-m", "http.server", "--bind", "::"]
        output(world, id, *unit, str(port))
    until(lambda: all(f":{port} " in output(world, id, "ss", "-ltnH") for port in ports), seconds=10)


def rule(protocol: Literal["tcp", "udp", "icmp", "any"], port: int | None, *networks: str) -> firewall.Rule:
    ports = None if port is None else (port, port)
    return firewall.Rule(protocol=protocol, ports=ports, networks=networks or firewall.EVERYWHERE)
