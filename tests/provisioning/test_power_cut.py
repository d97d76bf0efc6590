"""The power fails in the middle of the first boot: the next one finishes it, by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from tests.provisioning.origin_host import OriginHost, boot

pytestmark = pytest.mark.machines

MOMENTS: dict[str, Callable[[Path], bool]] = {
    "cloud-init has begun": lambda disk: (disk / "var/log/cloud-init.log").exists(),
    "our files are written": lambda disk: (disk / "usr/local/sbin/bootstrap").exists(),
    "packages are being unpacked": lambda disk: (disk / "usr/bin/caddy.dpkg-new").exists(),
    "packages are being set up": lambda disk: (disk / "var/lib/caddy").exists(),
    "uv is being installed": lambda disk: (disk / "opt/uv.new").exists() or (disk / "opt/uv").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_next_boot_finishes_what_was_cut_off(world: World, operator_key: Path, moment: str) -> None:
    host = boot(world, "cut", public_key=operator_key.with_suffix(".pub").read_text().strip())
    try:
        disk = machine.folder(world, "cut") / "upper"
        deadline = time.monotonic() + 180
        while not MOMENTS[moment](disk):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        machine.power_off(world, "cut")
        assert not (disk / "var/lib/origin/bootstrapped").exists()
        machine.power_on(world, "cut")
        _complete(host)
    finally:
        machine.destroy(world, "cut")


def _complete(host: OriginHost) -> None:
    host.bootstrapped()
    status = json.loads(host.run("cloud-init", "status", "--wait", "--format", "json"))
    assert (status["status"], status["extended_status"], status["recoverable_errors"]) == ("done", "done", {})
    host.run("systemctl", "is-system-running", "--wait")
    assert host.run("dpkg", "--audit") == ""
    assert "caddy" in host.run("dpkg-query", "-W", "caddy")
    host.run("/opt/uv/bin/uv", "--version")
    host.run("sshd", "-t")
    assert host.run("cat", "/home/deploy/.ssh/authorized_keys").count("ssh-ed25519") == 1
    assert host.run("systemctl", "is-active", "nftables", "ssh").split() == ["active", "active"]
    host.install_tools()
    assert host.status()["proxy"] == {"kind": "caddy", "state": "inactive"}
