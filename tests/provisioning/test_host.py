from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
from itertools import product

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from provisioning import host, tools
from provisioning.host import USER_DATA_LIMIT, UserDataTooLarge, bootstrap_hash, host_files, user_data
from provisioning.origin import STOP_TIMEOUT
from provisioning.proxies import PROGRAMS, Kind
from provisioning.render import FILES
from tests.provisioning.golden import Golden


def unpacked(text: str) -> str:
    return gzip.decompress(base64.b64decode(text)).decode()


def content(path: str, proxy: Kind) -> str:
    return next(unpacked(file.content) for file in host_files(proxy) if file.path == path)


@pytest.mark.parametrize("proxy", PROGRAMS)
def test_golden(proxy: Kind, snapshot: SnapshotAssertion) -> None:
    text = re.sub(r"content: \S+", "content: …", user_data(cloud="aws", proxy=proxy))
    assert re.sub(r"[0-9a-f]{64}", "…", text) == snapshot(extension_class=Golden)


@pytest.mark.parametrize("proxy", PROGRAMS)
def test_golden_units(proxy: Kind, snapshot: SnapshotAssertion) -> None:
    text = content(f"/etc/systemd/system/{PROGRAMS[proxy].unit}.service.d/origin.conf", proxy)
    assert text == snapshot(extension_class=Golden)
    assert f"Service={PROGRAMS[proxy].unit}.service" in content("/etc/systemd/system/proxy.socket", proxy)


def test_it_fits_every_cloud_with_room_to_spare() -> None:
    for cloud, proxy in product(USER_DATA_LIMIT, PROGRAMS):
        assert len(user_data(cloud=cloud, proxy=proxy).encode()) < 12_000


def test_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host.USER_DATA_LIMIT, "aws", 1000)
    with pytest.raises(UserDataTooLarge, match=r"user data is \d+ bytes, aws takes at most 1000"):
        user_data(cloud="aws", proxy="caddy")


def test_it_is_the_same_every_time_and_everywhere() -> None:
    assert user_data(cloud="aws", proxy="caddy") == user_data(cloud="digitalocean", proxy="caddy")
    assert tools.archive() == tools.archive()


def test_another_proxy_is_another_host() -> None:
    assert len({bootstrap_hash(user_data(cloud="aws", proxy=proxy)) for proxy in PROGRAMS}) == len(PROGRAMS)


def test_every_file_arrives_as_it_stands() -> None:
    document = yaml.safe_load(user_data(cloud="aws", proxy="caddy"))
    for entry in document["write_files"]:
        assert entry["encoding"] == "gz+b64"
        content = gzip.decompress(base64.b64decode(entry["content"])).decode()
        if (source := FILES / entry["path"].lstrip("/")).exists():  # else it is rendered, or has another name here
            assert content == source.read_text()
        assert (entry["permissions"] == "0755") == content.startswith("#!/bin/")


def test_every_file_goes_one_way_and_only_one() -> None:
    configuration = {FILES / "user-data.j2", *(FILES / "etc/origin/current").glob("*.j2")}
    at_boot = {
        FILES / path for path in (*host.AT_BOOT, *(path for paths in host.AT_BOOT_OF.values() for path in paths))
    }
    over_ssh = {FILES / path for path in tools.TOOLS}
    everything = {
        path
        for path in FILES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert at_boot | over_ssh | configuration == everything
    assert not at_boot & over_ssh


def test_a_stray_file_changes_nothing() -> None:
    before = user_data(cloud="aws", proxy="caddy")
    stray = FILES / "usr/local/sbin/.bootstrap.swp"
    stray.write_text("an editor's")
    try:
        assert user_data(cloud="aws", proxy="caddy") == before
    finally:
        stray.unlink()


def test_nothing_of_the_site_and_no_secret_is_in_it() -> None:
    shipped = "".join(
        user_data(cloud="aws", proxy=proxy) + "".join(unpacked(file.content) for file in host_files(proxy))
        for proxy in PROGRAMS
    )
    for word in ("PRIVATE KEY", "CERTIFICATE", "ssh-ed25519", "password:", "token", "example.com", "173.245.48.0"):
        assert word not in shipped


def test_the_user_is_named_so_that_clouds_keys_reach_it() -> None:
    document = yaml.safe_load(user_data(cloud="aws", proxy="caddy"))
    assert document["user"]["name"] == "deploy"
    assert document["user"]["lock_passwd"] is True
    assert document["disable_root"] is True
    assert document["ssh_pwauth"] is False
    assert "system_info" not in document  # deprecated: cloud-init would end "degraded"
    assert "users" not in document


def test_the_hash_follows_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    text = user_data(cloud="aws", proxy="caddy")
    assert re.fullmatch(r"[0-9a-f]{64}", bootstrap_hash(text))
    assert f"- [/usr/local/sbin/bootstrap, {bootstrap_hash(text)}]\n" in text
    files = host_files("caddy")
    monkeypatch.setattr(host, "host_files", lambda proxy: files[:-1])
    assert bootstrap_hash(user_data(cloud="aws", proxy="caddy")) != bootstrap_hash(text)


def test_another_text_has_no_hash() -> None:
    with pytest.raises(ValueError, match="runs no bootstrap"):
        bootstrap_hash("#cloud-config\n")


def test_the_tools_are_packed_with_their_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(tools.archive())), mode="r:gz") as tar:
        found = {entry.name: (entry.mode, entry.uid, entry.mtime) for entry in tar.getmembers()}
    expected = tools.TOOLS | {tools.INSPECTION: 0o644}
    assert found == {path: (mode, 0, 0) for path, mode in expected.items()}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("etc/ssh/sshd_config.d/00-origin.conf", "PermitRootLogin no"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "PasswordAuthentication no"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "AuthenticationMethods publickey"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "AllowUsers deploy"),
        ("etc/nftables.conf", "\t\ttype filter hook input priority filter; policy drop;"),
        ("etc/nftables.conf", "\t\ttcp dport 443 ip saddr @edge4 accept"),
        ("etc/nftables.conf", "\t\ttcp dport 443 ip6 saddr @edge6 accept"),
    ],
)
def test_what_must_be_said_is_said(file: str, line: str) -> None:
    assert line in (FILES / file).read_text().splitlines()


@pytest.mark.parametrize("proxy", PROGRAMS)
@pytest.mark.parametrize(
    "line",
    [
        "ExecStartPre=/usr/local/sbin/origin check-tls",
        "ExecReload=/usr/local/sbin/origin check-tls",
        "ConditionPathIsSymbolicLink=/etc/origin/current",
        "StartLimitIntervalSec=0",
        "Restart=always",
        f"TimeoutStopSec={STOP_TIMEOUT}s",
    ],
)
def test_what_every_proxys_unit_says(proxy: Kind, line: str) -> None:
    text = content(f"/etc/systemd/system/{PROGRAMS[proxy].unit}.service.d/origin.conf", proxy)
    assert text.splitlines().count(line) == 1


def test_the_hosts_door_opens_two_ports_only() -> None:
    rules = (FILES / "etc/nftables.conf").read_text()
    assert set(re.findall(r"tcp dport (\S+)", rules)) == {"22", "443"}
    assert "elements" not in rules  # the sets are empty until `origin configure`
