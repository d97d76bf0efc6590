"""`origin` on a real machine: what it refuses, that it changes all or nothing, and that it may be killed anywhere."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.provisioning.origin_host import HOSTNAME, OriginHost, Site, serving_throughout
from tests.provisioning.pki import Pair

pytestmark = pytest.mark.machines
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUSYHLL5ZcTxDFzgNCkQeBwNi7uY1/NOqXGIVXcXcXc operator"
OTHER = Pair.authority("somebody else")
ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.fixture(scope="module", autouse=True)
def _configured(host: OriginHost, site: Site) -> None:
    host.configure(site.document())


@pytest.fixture
def serving(host: OriginHost, site: Site) -> Iterator[str]:
    yield from serving_throughout(host, site)


def varied(site: Site, mark: str) -> dict[str, Any]:
    """The same site in another generation."""
    document = site.document()
    document["files"]["Caddyfile"] += f"\n# {mark}\n"
    return document


def test_the_ranges_reach_the_kernel_whole(host: OriginHost) -> None:
    listed = json.loads(host.run("nft", "-j", "list", "table", "inet", "origin"))["nftables"]
    sets = {entry["set"]["name"]: entry["set"].get("elem", []) for entry in listed if "set" in entry}
    assert (len(sets["edge4"]), len(sets["edge6"])) == (15, 7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edge.nft": ""}, "edge.nft: empty"),
        ({"edge.nft": "add element inet origin edge4 { 300.1.1.1/8 }"}, "edge.nft:1"),
        ({"edge.nft": "add rule inet nowhere input accept"}, "edge.nft:1"),
        ({"tls/key.pem": ""}, "tls/key.pem: empty"),
        ({"tls/key.pem": "garbage"}, "no certificate with its key"),
        ({"tls/key.pem": OTHER.key}, "KEY_VALUES_MISMATCH"),
        ({"tls/key.pem": ENCRYPTED}, "no certificate with its key"),
        ({"tls/certificate.pem": "garbage"}, "no certificate with its key"),
        ({"tls/certificate.pem": OTHER.certificate}, "KEY_VALUES_MISMATCH"),
        ({"tls/client-ca.pem": ""}, "tls/client-ca.pem: empty"),
        ({"tls/client-ca.pem": "garbage"}, "no CA certificate"),
        ({"tls/client-ca.pem": OTHER.certificate[:300]}, "no CA certificate"),
        ({"tls/client-ca.pem": OTHER.issue("leaf").certificate}, "no CA's"),
        ({"tls/client-ca.pem": OTHER.certificate + OTHER.issue("leaf").certificate}, "no CA's"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    host: OriginHost, site: Site, serving: str, changes: dict[str, str], said: str
) -> None:
    generations = host.run("ls", "/etc/origin/generations")
    document = site.document()
    document["files"] |= changes
    refusal = host.refused("configure", document)
    assert refusal.startswith("origin: ")
    assert said in refusal
    assert "PRIVATE KEY" not in refusal
    assert host.run("ls", "/etc/origin/generations") == generations  # no key of a refused one stays behind


def test_an_expired_certificate_is_refused(host: OriginHost, site: Site, serving: str) -> None:
    old = Pair.authority("origin CA").issue(HOSTNAME, HOSTNAME, days=-1)
    document = Site(server=old, clients=site.clients, client=site.client).document()
    assert "the origin's certificate expired on 20" in host.refused("configure", document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "stdin is not JSON"),
        ("[]", "a JSON object expected"),
        ({"files": {}}, "takes exactly these files"),
        ({"files": {"Caddyfile": "x", "/etc/passwd": "x"}}, "takes exactly these files"),
        ({"files": {"nginx.conf": "x"}}, "this host was made for caddy, not for nginx"),
    ],
)
def test_another_document_is_refused(host: OriginHost, serving: str, document: object, said: str) -> None:
    assert said in host.refused("configure", document)


def test_operators_keys_are_replaced_and_the_first_key_stays(host: OriginHost, site: Site) -> None:
    first = host.run("cat", "/home/deploy/.ssh/authorized_keys")
    host.configure(site.document(keys=[KEY, KEY.replace("operator", "two")]))
    assert host.run("cat", "/etc/ssh/authorized_keys.d/deploy") == f"{KEY}\n{KEY.replace('operator', 'two')}\n"
    assert host.run("stat", "-c", "%U %a", "/etc/ssh/authorized_keys.d/deploy").strip() == "root 644"
    host.configure(site.document())
    assert KEY in host.run("cat", "/etc/ssh/authorized_keys.d/deploy")  # not mentioned: left alone
    host.configure(site.document(keys=[]))
    assert host.run("cat", "/etc/ssh/authorized_keys.d/deploy") == ""
    assert host.run("cat", "/home/deploy/.ssh/authorized_keys") == first


@pytest.mark.parametrize("key", ["", "garbage", f'command="sh" {KEY}', f"{KEY}\n{KEY}", "ssh-rsa", 7])
def test_what_is_no_plain_key_is_refused(host: OriginHost, site: Site, serving: str, key: str) -> None:
    assert "is one public key" in host.refused("configure", site.document(keys=[key]))


def test_three_generations_are_kept(host: OriginHost, site: Site) -> None:
    for n in range(4):
        host.configure(varied(site, f"{n}"))
    assert len(host.run("ls", "/etc/origin/generations").split()) == 3
    host.configure(site.document())


def test_a_damaged_generation_is_repaired(host: OriginHost, site: Site, serving: str) -> None:
    host.run("rm", f"/etc/origin/generations/{serving}/tls/client-ca.pem")
    host.run("truncate", "-s0", f"/etc/origin/generations/{serving}/tls/key.pem")
    assert host.tried("origin", "check-tls").returncode == 1
    assert host.configure(site.document())["generation"] == serving
    host.run("origin", "check-tls")


def test_two_at_once_wait_for_each_other(host: OriginHost, site: Site) -> None:
    documents = [varied(site, f"{n}") for n in range(3)]
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda document=document: made.append(host.configure(document)["generation"]))
        for document in documents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.status()["generation"] in made
    assert len(set(made)) == 3
    host.configure(site.document())


def test_killed_anywhere_it_leaves_a_host_that_serves(host: OriginHost, site: Site) -> None:
    random.seed(3)
    began = time.monotonic()
    host.configure(varied(site, "timed"))
    took = time.monotonic() - began
    for n in range(8):
        document = json.dumps(varied(site, f"killed {n}"))
        host.tried("timeout", "-s", "KILL", f"{random.uniform(0.05, took):.2f}", "origin", "configure", input=document)
        host.run("origin", "check-tls")
        assert json.loads(host.run("origin", "verify", input=json.dumps(site.expectation())))["verified"]
        done = host.configure(json.loads(document))
        assert (host.status()["generation"], host.status()["proxy"]["state"]) == (done["generation"], "active")
    assert not [name for name in host.run("ls", "-A", "/etc/origin").split() if name.startswith(".")]
    host.configure(site.document())


def test_verify_tells_a_wrong_client_and_a_wrong_leaf(host: OriginHost, site: Site, serving: str) -> None:
    other = Site.make()
    assert "no handshake" in host.refused(
        "verify", site.expectation(certificate=other.client.certificate, key=other.client.key)
    )
    assert "another certificate" in host.refused("verify", site.expectation(leaf=other.server.certificate))
    assert "no handshake" in host.refused("verify", site.expectation(hostname="example.org"))


def test_verify_tells_an_open_door(host: OriginHost, site: Site) -> None:
    """A Caddy started by hand, past every check of ours, that asks no client for a certificate."""
    text = site.document()["files"]["Caddyfile"].replace("mode require_and_verify", "mode request")
    text = text.replace("default_bind fd/3 fd/4\n", "")
    host.run("systemctl", "stop", "caddy", "proxy.socket")
    host.run("mkdir", "-p", "/run/caddy")
    host.run("sh", "-c", "cat > /run/Caddyfile", input=text)
    host.run("systemd-run", "-q", "--unit=open", "caddy", "run", "--adapter=caddyfile", "--config=/run/Caddyfile")
    try:
        host.run("timeout", "10", "sh", "-c", "until ss -ltnH | grep -q ':443 '; do sleep 0.1; done")
        assert "without a certificate got an answer" in host.refused("verify", site.expectation())
    finally:
        host.run("systemctl", "stop", "open")
        host.run("rm", "-rf", "/run/caddy")
        host.run("systemctl", "start", "caddy")


def test_the_client_key_never_reaches_the_disk(host: OriginHost, site: Site, serving: str) -> None:
    trace = "find / -xdev -newer /run/mark -type f -size -64k -not -path '/proc/*' -exec grep -lF '{}' {{}} +"
    canary = site.client.key.splitlines()[1]
    host.run("touch", "/run/mark")
    host.run("origin", "verify", input=json.dumps(site.expectation()))
    assert host.run("sh", "-c", trace.format(canary), check=False) == ""


def test_help_says_what_it_does(host: OriginHost) -> None:
    assert "origin configure" in host.run("origin", "--help")
    assert host.tried("origin", "nonsense").returncode == 2
