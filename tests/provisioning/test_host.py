from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from provisioning import host, tools
from provisioning.host import USER_DATA_LIMIT, UserDataTooLarge, bootstrap_hash, host_files, user_data
from provisioning.render import FILES
from tests.provisioning.golden import Golden


def test_golden(snapshot: SnapshotAssertion) -> None:
    text = re.sub(r"content: \S+", "content: …", user_data(cloud="aws"))
    assert re.sub(r"[0-9a-f]{64}", "…", text) == snapshot(extension_class=Golden)


def test_it_fits_every_cloud_with_room_to_spare() -> None:
    for cloud in USER_DATA_LIMIT:
        assert len(user_data(cloud=cloud).encode()) < 12_000


def test_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host.USER_DATA_LIMIT, "aws", 1000)
    with pytest.raises(UserDataTooLarge, match=r"user data is \d+ bytes, aws takes at most 1000"):
        user_data(cloud="aws")


def test_it_is_the_same_every_time_and_everywhere() -> None:
    assert user_data(cloud="aws") == user_data(cloud="digitalocean")
    assert tools.archive() == tools.archive()


def test_every_file_arrives_as_it_stands() -> None:
    document = yaml.safe_load(user_data(cloud="aws"))
    for entry in document["write_files"]:
        assert entry["encoding"] == "gz+b64"
        content = gzip.decompress(base64.b64decode(entry["content"])).decode()
        assert content == (FILES / entry["path"].lstrip("/")).read_text()
        assert (entry["permissions"] == "0755") == content.startswith("#!/bin/")


def test_every_file_goes_one_way_and_only_one() -> None:
    templates = set(FILES.rglob("*.j2"))
    at_boot = {FILES / file.path.lstrip("/") for file in host_files()}
    over_ssh = {FILES / path for path in tools.TOOLS}
    everything = {
        path
        for path in FILES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert at_boot | over_ssh | templates == everything
    assert not at_boot & over_ssh


def test_a_stray_file_changes_nothing() -> None:
    before = user_data(cloud="aws")
    stray = FILES / "usr/local/sbin/.bootstrap.swp"
    stray.write_text("an editor's")
    try:
        assert user_data(cloud="aws") == before
    finally:
        stray.unlink()


def test_nothing_of_the_site_and_no_secret_is_in_it() -> None:
    shipped = user_data(cloud="aws") + "".join((FILES / file.path.lstrip("/")).read_text() for file in host_files())
    for word in ("PRIVATE KEY", "CERTIFICATE", "ssh-ed25519", "password:", "token", "example.com", "173.245.48.0"):
        assert word not in shipped


def test_the_user_is_named_so_that_clouds_keys_reach_it() -> None:
    document = yaml.safe_load(user_data(cloud="aws"))
    assert document["user"]["name"] == "deploy"
    assert document["user"]["lock_passwd"] is True
    assert document["disable_root"] is True
    assert document["ssh_pwauth"] is False
    assert "system_info" not in document  # deprecated: cloud-init would end "degraded"
    assert "users" not in document


def test_the_hash_follows_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    text = user_data(cloud="aws")
    assert re.fullmatch(r"[0-9a-f]{64}", bootstrap_hash(text))
    assert f"- [/usr/local/sbin/bootstrap, {bootstrap_hash(text)}]\n" in text
    files = host_files()
    monkeypatch.setattr(host, "host_files", lambda: files[:-1])
    assert bootstrap_hash(user_data(cloud="aws")) != bootstrap_hash(text)


def test_another_text_has_no_hash() -> None:
    with pytest.raises(ValueError, match="runs no bootstrap"):
        bootstrap_hash("#cloud-config\n")


def test_the_tools_are_packed_with_their_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(tools.archive())), mode="r:gz") as tar:
        found = {entry.name: (entry.mode, entry.uid, entry.mtime) for entry in tar.getmembers()}
    assert found == {path: (mode, 0, 0) for path, mode in tools.TOOLS.items()}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("etc/ssh/sshd_config.d/00-origin.conf", "PermitRootLogin no"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "PasswordAuthentication no"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "AuthenticationMethods publickey"),
        ("etc/ssh/sshd_config.d/00-origin.conf", "AllowUsers deploy"),
        ("etc/systemd/system/caddy.service.d/origin.conf", "ExecStartPre=/usr/local/sbin/origin check-tls"),
        ("etc/systemd/system/caddy.service.d/origin.conf", "ExecReload=/usr/local/sbin/origin check-tls"),
        ("etc/systemd/system/caddy.service.d/origin.conf", "StartLimitIntervalSec=0"),
        ("etc/systemd/system/caddy.service.d/origin.conf", "Restart=always"),
        ("etc/systemd/system/caddy.socket", "ListenStream=443"),
        ("etc/nftables.conf", "\t\ttype filter hook input priority filter; policy drop;"),
        ("etc/nftables.conf", "\t\ttcp dport 443 ip saddr @edge4 accept"),
        ("etc/nftables.conf", "\t\ttcp dport 443 ip6 saddr @edge6 accept"),
    ],
)
def test_what_must_be_said_is_said(file: str, line: str) -> None:
    assert line in (FILES / file).read_text().splitlines()


def test_the_hosts_door_opens_two_ports_only() -> None:
    rules = (FILES / "etc/nftables.conf").read_text()
    assert set(re.findall(r"tcp dport (\S+)", rules)) == {"22", "443"}
    assert "elements" not in rules  # the sets are empty until `origin configure`
