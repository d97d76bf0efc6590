"""Machines as a program meets them: booted by the real cloud-init, with packages, without a way out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.cloud import daemon, machine, network
from rehearsal.cloud.world import World
from tests.rehearsal.cloud.standing import KEY, booted, cloud_init_done, commands, knock, output, until

pytestmark = pytest.mark.machines
HASHED = (
    "waitress==3.0.2 --hash=sha256:c56d67fd6e87c2ee598b76abdd4e96cfad1f24cacdea5078d382b1f9d7b5ed2e"
    " --hash=sha256:682aaaf2af0c44ada4abfb70ded36393f0e307f4ab9456a215ce0020baefc31f"
)


@pytest.fixture(scope="module")
def droplet(world: World) -> Iterator[str]:
    with booted(world, "droplet"):
        until(lambda: cloud_init_done(world, "droplet"))
        yield "droplet"


def test_cloud_init_does_what_the_user_data_says(world: World, droplet: str) -> None:
    status = json.loads(output(world, droplet, "cloud-init", "status", "--format", "json"))
    assert status["status"] == "done"
    assert status["extended_status"] == "done", "degraded: the image's own settings must not trouble cloud-init"
    assert output(world, droplet, "hostname").strip() == "droplet"
    assert output(world, droplet, "cat", "/etc/motd") == "written by cloud-init\n"
    assert output(world, droplet, "cat", "/root/boots") == "first boot\n"
    assert KEY in output(world, droplet, "cat", "/home/deploy/.ssh/authorized_keys")


def test_it_is_a_debian_13_with_nothing_that_failed(world: World, droplet: str) -> None:
    output(world, droplet, "systemctl", "is-system-running", "--wait")
    assert output(world, droplet, "systemctl", "--failed", "--quiet") == ""
    assert "trixie" in output(world, droplet, "cat", "/etc/os-release")
    assert output(world, droplet, "stat", "-c", "%a", "/", "/var", "/var/lib").split() == ["755"] * 3


def test_it_has_what_cloud_images_have_and_not_what_the_bootstrap_installs(world: World, droplet: str) -> None:
    installed = output(world, droplet, "dpkg-query", "-W", "-f", "${Package}\n").split()
    assert {"cloud-init", "openssh-server", "sudo", "python3", "unattended-upgrades"} <= set(installed)
    assert not {"caddy", "nginx", "uv", "python3-venv", "curl", "nftables"} & set(installed)


def test_packages_come_through_the_mirror(world: World, droplet: str) -> None:
    output(world, droplet, "apt-get", "-q", "update")
    assert "trixie-backports/main" in output(world, droplet, "apt-cache", "policy")
    assert "trixie-security/main" in output(world, droplet, "apt-cache", "policy")
    output(world, droplet, "apt-get", "-qy", "install", "python3-venv")
    output(world, droplet, "python3", "-m", "venv", "/opt/a", "/opt/b")
    output(world, droplet, "/opt/a/bin/pip", "install", "-q", "uv")
    output(world, droplet, "sh", "-c", f"echo '{HASHED}' > /root/requirements.txt")
    output(world, droplet, "/opt/a/bin/pip", "install", "-q", "--require-hashes", "-r", "/root/requirements.txt")
    output(
        world,
        droplet,
        "/opt/a/bin/uv",
        "pip",
        "install",
        "--python=/opt/b",
        "--require-hashes",
        "-r/root/requirements.txt",
    )
    output(world, droplet, "/opt/b/bin/python", "-c", "import waitress")
    kept = {path.name for path in (world.cache / "packages/files").rglob("*") if path.is_file()}
    assert "waitress-3.0.2-py3-none-any.whl" in kept
    assert any(name.startswith("python3-venv_") for name in kept)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:ffff::1"])
def test_there_is_no_way_out(world: World, droplet: str, address: str) -> None:
    until(lambda: knock(world, network.ROUTER, address, 443) == "Network is unreachable", seconds=3)
    for place in (*network.PLACES, f"machine-{droplet}"):
        assert knock(world, place, address, 443, seconds=3) == "Network is unreachable", place
    host_links = {path.name for path in Path("/sys/class/net").iterdir()}
    listed = network.exec_in(world, network.ROUTER, ["ls", "/sys/class/net"], capture_output=True, text=True).stdout
    assert set(listed.split()) & host_links == {"lo"}


def test_reboot_comes_back_with_the_disk_and_without_the_kernels_memory(world: World, droplet: str) -> None:
    # As a service, which has no more rights than the machine has.
    output(world, droplet, "systemd-run", "--wait", "iptables", "-A", "INPUT", "-p", "udp", "-j", "DROP")
    assert "udp" in output(world, droplet, "iptables", "-S")
    output(world, droplet, "touch", "/root/kept", "/run/lost")
    before = machine.init_pid(world, droplet)
    machine.reboot(world, droplet)
    until(lambda: machine.init_pid(world, droplet) not in (None, before) and cloud_init_done(world, droplet))
    assert output(world, droplet, "ls", "/root/kept")
    assert machine.execute(world, droplet, ["ls", "/run/lost"], capture_output=True, check=False).returncode
    assert "udp" not in output(world, droplet, "iptables", "-S")
    assert output(world, droplet, "cat", "/root/boots") == "first boot\n"


def test_power_cut_and_power_on(world: World, droplet: str) -> None:
    address = machine.describe(world, droplet)["ipv4"]
    until(lambda: knock(world, "operator", address, 22) == "open")
    machine.power_off(world, droplet)
    assert not machine.running(world, droplet)
    assert knock(world, "operator", address, 22) == "filtered", "a machine that is off answers nothing"
    machine.power_on(world, droplet)
    until(lambda: knock(world, "operator", address, 22) == "open")
    assert output(world, droplet, "cat", "/root/boots") == "first boot\n"


def test_power_cut_in_the_middle_of_the_first_boot(world: World) -> None:
    with booted(world, "cut"):
        until(lambda: "cloud-init" in machine.console(world, "cut"))
        machine.power_off(world, "cut")
        machine.power_on(world, "cut")
        until(lambda: cloud_init_done(world, "cut"))


def test_a_machine_that_powers_itself_off_stays_off(world: World) -> None:
    with booted(world, "tired", user_data=""):
        until(lambda: cloud_init_done(world, "tired"))
        machine.execute(world, "tired", ["systemctl", "poweroff"], capture_output=True, check=True)
        until(lambda: not machine.running(world, "tired"))
        machine.resume(world)
        assert not machine.running(world, "tired")
        with pytest.raises(machine.MachineFailed, match="The machine tired is off"):
            machine.execute(world, "tired", ["true"])


def test_destroy_leaves_nothing(world: World) -> None:
    with booted(world, "gone"):
        until(lambda: cloud_init_done(world, "gone"))
    assert traces(world, "gone") == []
    machine.destroy(world, "gone")


def test_a_machine_outlives_its_supervisor_and_is_adopted(world: World) -> None:
    with booted(world, "orphan"):
        until(lambda: cloud_init_done(world, "orphan"))
        supervisor = daemon.main_pid(world, "machine-orphan/supervisor")
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: not daemon.running(world, "machine-orphan/supervisor"))
        before = machine.init_pid(world, "orphan")
        assert before
        machine.resume(world)
        assert machine.init_pid(world, "orphan") == before, "it goes on"
        machine.reboot(world, "orphan")
        until(lambda: machine.init_pid(world, "orphan") not in (None, before))
    assert traces(world, "orphan") == []


def test_a_machine_left_half_way_is_removed_and_a_stopped_one_started(world: World) -> None:
    with booted(world, "whole"), booted(world, "half"):
        # As a command leaves them that is killed while it creates one, and as a restart of the host does.
        world.store.put(machine.COLLECTION, "half", {**machine.describe(world, "half"), "state": "creating"})
        daemon.stop(world, "machine-whole")
        said: list[str] = []
        machine.resume(world, said.append)
        assert traces(world, "half") == []
        assert machine.init_pid(world, "whole")
        assert said == ["Removing the machine half, which was left half-way", "Starting the machine whole again"]


def test_what_cannot_be_is_refused(world: World) -> None:
    refused = pytest.raises(ValueError, match="There is a machine only already")
    with booted(world, "only"), refused, booted(world, "only"):
        pass
    for id, hostname in (("../up", "web"), ("web", "a b"), ("", "web")):
        with pytest.raises(ValueError, match="can't be called"):
            machine.create(world, id, hostname=hostname, user_data="", public_keys=[], ipv4="198.19.9.2", ipv6=None)
    with pytest.raises(machine.MachineFailed, match="There is no machine nowhere"):
        machine.power_on(world, "nowhere")


def traces(world: World, id: str) -> list[str]:
    """Whatever is left of a machine on this host."""
    group = daemon.cgroup(world, f"machine-{id}")
    return [
        *(f"namespace {name}" for name in network.existing(world) if name.endswith(f"machine-{id}")),
        *(f"mount {line}" for line in _mounts() if str(machine.folder(world, id)) in line),
        *(f"process {command!r}" for command in commands() if str(machine.folder(world, id)) in command),
        *(f"folder {path}" for path in (machine.folder(world, id), group) if path.exists()),
        *(f"folder {path}" for path in Path("/run/systemd/nspawn").glob(f"*/{world.namespace(id)}")),
        *(f"store {name}" for name in ("machines", "firewalls") if world.store.get(name, id)),
    ]


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()
