"""What our user data makes of a real machine, before anything of a site is on it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.host import bootstrap_hash
from provisioning.render import FILES
from rehearsal.cloud import network
from tests.provisioning.origin_host import USER_DATA, OriginHost
from tests.rehearsal.cloud.standing import knock

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def proxied(proxied: OriginHost) -> OriginHost:
    """These tests come first on their machines, or begin them anew."""
    proxied.run("rm", "-rf", "/etc/origin/current", "/etc/origin/generations", "/run/origin")
    proxied.run("systemctl", "stop", proxied.program.unit, "proxy.socket")
    proxied.run("systemctl", "reload", "nftables")
    return proxied


def test_cloud_init_takes_it_and_has_nothing_to_say(proxied: OriginHost) -> None:
    host = proxied
    assert host.run("cat", "/var/lib/cloud/instance/user-data.txt") == USER_DATA[host.proxy]
    assert "Valid schema" in host.run("cloud-init", "schema", "--system")
    status = json.loads(host.run("cloud-init", "status", "--wait", "--format", "json"))
    assert (status["status"], status["extended_status"], status["errors"]) == ("done", "done", [])
    assert status["recoverable_errors"] == {}


def test_nothing_failed_and_nothing_listens_but_ssh(proxied: OriginHost) -> None:
    host = proxied
    host.run("systemctl", "is-system-running", "--wait")
    listening = host.run("ss", "-Hltun").split("\n")
    ports = {
        line.split()[4].rpartition(":")[2] for line in listening if line and not line.split()[4].startswith("127.")
    }
    assert ports == {"22"}
    assert host.status() | {"bootstrap": None} == {
        "bootstrap": None,
        "generation": None,
        "proxy": {"kind": host.proxy, "state": "inactive"},
        "nftables": "active",
        "release": None,
        "app": None,
        "certificate_expires": None,
        "client_ca_expires": None,
    }
    assert host.status()["bootstrap"] == bootstrap_hash(USER_DATA[host.proxy])


@pytest.mark.parametrize("port", [80, 443, 2019, 8080])
@pytest.mark.parametrize("place", ["edge", "attacker"])
def test_every_other_port_is_silent(host: OriginHost, place: str, port: int) -> None:
    for address in (host.ipv4, host.ipv6):
        assert knock(host.world, place, address, port, seconds=0.5) == "filtered"


def test_nothing_is_from_backports_but_caddy(proxied: OriginHost) -> None:
    installed = proxied.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n").splitlines()
    backported = [line.split()[0] for line in installed if "~bpo" in line]
    assert backported == (["caddy"] if proxied.proxy == "caddy" else [])
    assert proxied.run("sh", "-c", "grep -rl backports /etc/apt/sources.list* || true").strip() or not backported


def test_the_packages_are_there(host: OriginHost) -> None:
    assert re.match(r"2\.(1[1-9]|[2-9]\d)\..*bpo13", host.run("dpkg-query", "-W", "-f", "${Version}", "caddy"))
    assert re.match(r"uv \d+\.", host.run("/opt/uv/bin/uv", "--version"))
    assert "990" in host.run("apt-cache", "policy", "caddy")


def test_caddys_security_updates_install_themselves(host: OriginHost) -> None:
    dry = host.run("unattended-upgrade", "--dry-run", "--debug", timeout=300)
    assert "origin=Debian Backports,codename=trixie-backports" in dry
    assert "codename=trixie,label=Debian-Security" in dry.replace("${distro_codename}", "trixie")
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.run("systemctl", "is-enabled", timer).strip() == "enabled"


def test_the_users(host: OriginHost) -> None:
    assert host.run("id", "-ng", "app").strip() == "upstream"
    assert host.run("id", "-nG", "build").split() == ["build"]
    for user in ("app", "build", "caddy"):
        assert host.run("getent", "passwd", user).strip().endswith("nologin")
    # No password opens any account.
    shadow = host.run("getent", "shadow").splitlines()
    assert {line.split(":")[1][:1] for line in shadow} <= {"!", "*"}
    assert host.run("runuser", "-u", "deploy", "--", "sudo", "-n", "id", "-un").strip() == "root"


def test_the_folders(host: OriginHost) -> None:
    expected = {
        "/srv/app/incoming": "deploy deploy 700",
        "/srv/app/releases": "root root 755",
        "/srv/app/shared": "app upstream 750",
        "/var/lib/build": "build build 700",
        "/etc/ssh/authorized_keys.d": "root root 755",
    }
    found = host.run("stat", "-c", "%n %U %G %a", *expected).splitlines()
    assert found == [f"{path} {owner}" for path, owner in expected.items()]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("permitrootlogin", "no"),
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("authenticationmethods", "publickey"),
        ("allowusers", "deploy"),
        ("authorizedkeysfile", ".ssh/authorized_keys /etc/ssh/authorized_keys.d/%u"),
        ("hostkey", "/etc/ssh/ssh_host_ed25519_key"),
        ("x11forwarding", "no"),
        ("allowtcpforwarding", "no"),
    ],
)
def test_sshd_is_told(host: OriginHost, setting: str, value: str) -> None:
    host.run("sshd", "-t")
    assert f"{setting} {value}" in host.run("sshd", "-T").splitlines()


def ssh(host: OriginHost, login: str, key: Path, *options: str) -> subprocess.CompletedProcess[str]:
    strict = ("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oIdentitiesOnly=yes", "-oBatchMode=yes")
    argv = ["ssh", "-F", "none", "-q", "-v", *strict, *options, "-i", str(key), f"{login}@{host.ipv4}", "id -un"]
    return network.exec_in(
        host.world, "operator", argv, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )


def test_ssh_lets_deploy_in_by_key(host: OriginHost, operator_key: Path) -> None:
    assert ssh(host, "deploy", operator_key).stdout == "deploy\n"


def test_ssh_lets_nobody_else_in(host: OriginHost, operator_key: Path) -> None:
    for user in ("root", "app", "debian"):
        done = ssh(host, user, operator_key)
        assert (done.returncode, done.stdout) == (255, "")
    offered = ssh(host, "deploy", operator_key, "-oPubkeyAuthentication=no").stderr
    assert "Authentications that can continue: publickey\n" in offered
    assert "password" not in offered.split("Authentications that can continue")[1]


def test_the_key_of_the_host_is_one(host: OriginHost) -> None:
    keys = host.run("sh", "-c", "ls /etc/ssh/ssh_host_*_key").split()
    assert keys == ["/etc/ssh/ssh_host_ed25519_key"]


def test_nft_takes_the_rules(host: OriginHost) -> None:
    host.run("nft", "-c", "-f", "/etc/nftables.conf")
    rules = host.run("nft", "list", "table", "inet", "origin")
    assert rules.count("policy drop") == 2
    for name in ("edge4", "edge6"):
        assert "elements" not in host.run("nft", "list", "set", "inet", "origin", name)


FLOOD = """
import socket, sys
answers = ""
for number in range(90):
    try:
        socket.create_connection((sys.argv[1], 22), 5 if number < 60 else 0.1).close()
        answers += "o"
    except TimeoutError:
        answers += "."
print(answers)
"""


def test_a_flood_of_ssh_connections_is_stopped_for_its_source_only(host: OriginHost) -> None:
    for address in (host.ipv4, host.ipv6):
        argv = [sys.executable, "-c", FLOOD, address]
        answers = network.exec_in(host.world, "attacker", argv, capture_output=True, text=True).stdout.strip()
        assert answers.startswith("o" * 60)
        assert answers.count(".") > 10
        assert knock(host.world, "operator", address, 22) == "open"


@pytest.mark.parametrize("user", ["app", "caddy", "build", "deploy"])
def test_only_root_reaches_the_clouds_metadata(host: OriginHost, user: str) -> None:
    connect = "import socket; socket.create_connection(('169.254.169.254', 80), 1)"
    assert "refused" in host.tried("runuser", "-u", user, "--", "python3", "-c", connect).stderr.lower()
    assert "refused" not in host.tried("python3", "-c", connect).stderr.lower()


def exposure(host: OriginHost, unit: str) -> float:
    security = host.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", security)
    assert found
    return float(found[1])


def test_the_sandboxes(proxied: OriginHost) -> None:
    assert exposure(proxied, f"{proxied.program.unit}.service") <= 2.5
    assert exposure(proxied, "app@0001-0123456789ab.service") <= 1.5


def test_the_units_have_no_fault(proxied: OriginHost) -> None:
    units = [f"{proxied.program.unit}.service", "proxy.socket", "app@.service", "release-converge.service"]
    done = proxied.tried("systemd-analyze", "verify", "--man=no", *units, "nftables.service")
    # The app's program is there once a release is.
    said = [line for line in done.stderr.splitlines() if "/srv/app/releases/" not in line]
    assert said == []


def test_the_settings_of_kernel_and_journal_are_read(host: OriginHost) -> None:
    settings = (FILES / "etc/sysctl.d/60-origin.conf").read_text().splitlines()
    understood = host.run("sysctl", "--dry-run", "-p", "/etc/sysctl.d/60-origin.conf", check=False).splitlines()
    # A "-" marks what some kernels lack.
    assert set(understood) >= {line for line in settings if not line.startswith("-")}
    assert "SystemMaxUse=512M" in host.run("systemd-analyze", "cat-config", "systemd/journald.conf")
    assert host.run("sh", "-c", "ls -d /var/log/journal/*").strip()
    journal = host.run("journalctl", "-u", "systemd-journald", "-b", "-o", "cat")
    assert "Unknown" not in journal and "Failed to parse" not in journal


def test_shellcheck_has_nothing_to_say() -> None:
    subprocess.run(["shellcheck", str(FILES / "usr/local/sbin/bootstrap")], check=True)


def test_the_bootstrap_may_run_again(proxied: OriginHost) -> None:
    host = proxied
    before = host.run("dpkg-query", "-W")
    host.run("/usr/local/sbin/bootstrap", bootstrap_hash(USER_DATA[host.proxy]), timeout=240)
    assert host.run("dpkg-query", "-W") == before
    assert host.run("systemctl", "is-active", "nftables", "ssh").split() == ["active"] * 2


def test_another_debian_is_refused(host: OriginHost) -> None:
    release = "ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME='Debian 12'\n"
    host.run("sh", "-c", "cat > /run/os-release", input=release)
    unshared = "mount --bind /run/os-release /etc/os-release && exec /usr/local/sbin/bootstrap x"
    done = host.tried("unshare", "--mount", "sh", "-c", unshared)
    assert (done.returncode, "Debian 12; only Debian 13" in done.stderr) == (1, True), done
