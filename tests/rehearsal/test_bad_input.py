"""Whatever a user gets wrong ends in a line or two that say what, and before anything is made where it can."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from provisioning import host
from rehearsal import rehearsal
from rehearsal.cloud import ground, image, network, preflight
from rehearsal.cloud.world import World
from tests.rehearsal import paper
from tests.rehearsal.stacks import ROOT, Seen, rehearse, write

APP = "from flask import Flask\n\napp = Flask(__name__)\n"


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REHEARSAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)


def refused(seen: Seen, *words: str) -> None:
    """In at most two plain lines that hold these words."""
    assert seen.code != 0, seen
    assert "Traceback" not in seen.out + seen.err
    assert 1 <= len(seen.told) <= 2, seen
    for word in words:
        assert word in " ".join(seen.told), (word, seen.told)


def nothing_made(tmp_path: Path) -> None:
    world = World(tmp_path / "home" / "bad")
    made = {str(path.relative_to(world.root / "cloud")) for path in (world.root / "cloud").rglob("*.json")}
    ours = {path for path in made if not path.startswith(("cloudflare/zones/", "aws/vpcs/", "aws/subnets/"))}
    # Every VPC has a group of its own from the beginning.
    assert {path for path in ours if "aws/security_groups/" not in path} == set()
    assert not (world.root / "engine" / "state.json").exists()


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown key": ({"site.hostnam": "x"}, ("site.hostnam", "unknown key", "hostname", "do:")),
    "unknown section": ({"prxoy": {"kind": "caddy"}}, ("prxoy", "unknown key", "do: write proxy")),
    "wrong type": ({"app.keep": "five"}, ("app.keep", '"five"', "a whole number", "do:")),
    "text for a section": ({"site": "example.com"}, ("site", '"example.com"', "not a section", "do:")),
    "a date for a section": ({"site": "2026-01-01"}, ("site", "not a section", "do:")),
    "missing section": ({"site": None}, ("site: is missing", "do:")),
    "hostname outside the zone": (
        {"site.hostname": "www.other.org", "site.redirects": []},
        ("site.hostname", '"www.other.org"', ".example.com", "do:"),
    ),
    "zone that is no name": ({"site.zone": "foo bar"}, ("site.zone", '"foo bar"', "allowed:")),
    "nobody reaches SSH": ({"operator.ranges": []}, ("operator.ranges", "is empty", "do:")),
    "everybody reaches SSH": ({"operator.ranges": ["0.0.0.0/0"]}, ("operator.ranges[0]", "0.0.0.0/0", "do:")),
    "everybody by IPv6": ({"operator.ranges": ["::/0"]}, ("operator.ranges[0]", "::/0", "do:")),
    "everybody by halves": (
        {"operator.ranges": ["0.0.0.0/1", "128.0.0.0/1"]},
        ("operator.ranges[0]", "0.0.0.0/1", "allowed:", "do:"),
    ),
    "no source folder": ({"app.source": "/nowhere/at/all"}, ("app.source", "/nowhere/at/all", "does not exist")),
    "source is a file": ({"app.source": "README.md"}, ("app.source", "README.md", "is a file")),
    "no such module": ({"app.entrypoint": "helo:app"}, ("app.entrypoint", '"helo:app"', "do: write hello:app")),
    "no such callable": ({"app.entrypoint": "hello:wsgi"}, ("app.entrypoint", '"hello:wsgi"', "do: write hello:app")),
    "no entrypoint": ({"app.entrypoint": "hello.py"}, ("app.entrypoint", '"hello.py"', "do: write hello:app")),
    "size of no form": ({"host.size": "huge"}, ("host.size", '"huge"', "allowed:")),
    "size that is not sold": ({"host.size": "s-9vcpu-1gb"}, ("size", "s-9vcpu-1gb", "s-1vcpu-1gb")),
    "another cloud's size": ({"host.size": "t3.micro"}, ("host.size", '"t3.micro"', "AWS", "do:")),
    "region that is none": ({"host.region": "xyz9"}, ("region", "xyz9", "fra1")),
    "cloud that is none": ({"host.cloud": "gcp"}, ("host.cloud", '"gcp"', "digitalocean, aws")),
    "AWS size that is not sold": (
        {"host": {"cloud": "aws", "size": "t3.gigantic"}},
        ("instanceType", "t3.gigantic", "t3.micro"),
    ),
    "AWS region that is none": (
        {"host": {"cloud": "aws", "region": "eu-north-9"}},
        ("host.region", "eu-north-9", "eu-central-1", "do:"),
    ),
    "AWS subnet that is none": (
        {"host": {"cloud": "aws", "subnet_id": "subnet-0a1b2c3d4e5f60718"}},
        ("host.subnet_id", "subnet-0a1b2c3d4e5f60718", "do:"),
    ),
    "AWS network that is none": (
        {"host": {"cloud": "aws", "vpc_id": "vpc-0a1b2c3d4e5f60718"}},
        ("host.vpc_id", "vpc-0a1b2c3d4e5f60718", "do:"),
    ),
    "secrets in plain text": (
        {"secrets": {"API_TOKEN": "canary-7d1f"}},
        ("secrets", "API_TOKEN", "plain text", "pulumi config set --secret"),
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_preview_refuses(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, words = BAD[what]
    seen = rehearse(capsys, "preview", write(tmp_path, changes))
    refused(seen, *words)
    assert "canary-7d1f" not in seen.out + seen.err
    nothing_made(tmp_path)


@pytest.mark.parametrize("what", ["unknown key", "size that is not sold", "AWS size that is not sold"])
def test_up_refuses_before_anything_stands(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "problems", list)
    monkeypatch.setattr(ground, "ensure", lambda *_: pytest.fail("the world was laid"))
    changes, words = BAD[what]
    refused(rehearse(capsys, "up", write(tmp_path, changes)), *words)
    nothing_made(tmp_path)


def test_no_requirements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "hello.py").write_text(APP)
    seen = rehearse(capsys, "preview", write(tmp_path, {"app.source": str(tmp_path / "app")}))
    refused(seen, "app.source", str(tmp_path / "app"), "requirements.txt", "do:")
    nothing_made(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: [", ("is not YAML", "line 1")),
        ("config:\n  - a\n", ("needs a mapping `config:`",)),
        ("- config\n", ("needs a mapping `config:`",)),
        (b"config: \xff\n", ("is not YAML",)),
    ],
)
def test_a_stack_file_that_is_none(
    text: str | bytes, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "Pulumi.bad.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    seen = rehearse(capsys, "preview", path)
    refused(seen, "Pulumi.bad.yaml", *words)
    assert seen.code == 2


def test_an_empty_stack_file_lacks_sections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Pulumi.bad.yaml"
    path.write_text("config:\n")
    seen = rehearse(capsys, "preview", path)
    assert seen.code == 1
    assert [line.removeprefix("error: ").strip() for line in seen.told] == [
        f"{section}: is missing; do: add it" for section in ("site", "host", "operator", "app")
    ]


def test_no_stack_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = rehearse(capsys, "preview", tmp_path / "Pulumi.none.yaml")
    refused(seen, "--stack", "Pulumi.none.yaml", "stacks here: aws, dev")
    assert seen.code == 2


def test_missing_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "CREDENTIALS", {})
    seen = rehearse(capsys, "preview", write(tmp_path, {}))
    refused(seen, "CLOUDFLARE_API_TOKEN: is missing", "DIGITALOCEAN_TOKEN: is missing", "do: export")
    nothing_made(tmp_path)


@pytest.mark.parametrize(
    ("credential", "based_on", "words"),
    [
        ("CLOUDFLARE_API_TOKEN", "dev", ("site.zone", "Authentication error")),
        ("DIGITALOCEAN_TOKEN", "dev", ("host.region", "Unable to authenticate you", "DIGITALOCEAN_TOKEN")),
        ("AWS_ACCESS_KEY_ID", "aws", ("host.region", "AuthFailure", "AWS credentials")),
    ],
)
def test_credentials_that_are_refused(
    credential: str,
    based_on: str,
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rehearsal, "CREDENTIALS", {**rehearsal.CREDENTIALS, credential: "canary-7d1f"})
    seen = rehearse(capsys, "preview", write(tmp_path, {}, based_on=based_on))
    refused(seen, *words, "do:")
    assert "canary-7d1f" not in seen.out + seen.err
    nothing_made(tmp_path)


def test_no_credentials_for_aws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may come from anywhere, so that only the provider can tell."""
    others = {name: value for name, value in rehearsal.CREDENTIALS.items() if not name.startswith("AWS_")}
    monkeypatch.setattr(rehearsal, "CREDENTIALS", others)
    seen = rehearse(capsys, "preview", write(tmp_path, {}, based_on="aws"))
    refused(seen, "host.region", "No valid credential sources found", "AWS credentials", "do:")
    nothing_made(tmp_path)


def test_a_zone_that_is_not_in_the_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal.Rehearsal, "_open_account", lambda self: None)
    seen = rehearse(capsys, "preview", write(tmp_path, {}))
    refused(seen, "site.zone", "example.com", "zones in the account: none", "do:")
    nothing_made(tmp_path)


@pytest.mark.parametrize(
    ("ipv4", "word"),
    [
        ([], "0"),
        (["198.18.16.0/24"], "1"),
        ([*network.EDGE_RANGES_V4, "0.0.0.0/0"], "0.0.0.0/0"),
        ([*network.EDGE_RANGES_V4, "198.18.16.0/244"], "198.18.16.0/244"),
    ],
    ids=["empty", "too short", "everybody", "garbage"],
)
def test_an_odd_list_of_ranges_opens_no_door(
    ipv4: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "EDGE_RANGES_V4", ipv4)
    refused(rehearse(capsys, "preview", write(tmp_path, {})), "Cloudflare", word)
    nothing_made(tmp_path)


def test_user_data_that_is_too_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "USER_DATA_LIMIT", {"aws": 1000, "digitalocean": 1000})
    refused(rehearse(capsys, "preview", write(tmp_path, {})), "user data", "1000", "digitalocean")
    nothing_made(tmp_path)


def test_a_host_that_can_t_rehearse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    seen = rehearse(capsys, "up", write(tmp_path, {}))
    refused(seen, "can't run here", "needs root", "sudo")
    assert seen.code == 2
    assert not (tmp_path / "home").exists()


def test_an_image_that_can_t_be_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise image.ImageFailed("mmdebstrap: the archive [can't] be reached")

    monkeypatch.setattr(preflight, "problems", list)
    monkeypatch.setattr(ground, "ensure", fail)
    seen = rehearse(capsys, "up", write(tmp_path, {}))
    refused(seen, "the archive [can't] be reached")  # no word is taken for markup
    assert seen.code == 2


# ---- on paper: everything but machines, networks and proxies ----


@pytest.fixture
def on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    paper.lay(monkeypatch)


def test_a_name_that_leads_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = write(tmp_path, {"site.redirects": []})
    zone = next(iter(_zones(tmp_path, stack, capsys)))
    _put_record(tmp_path, zone, type="CNAME", content="old.example.net")
    refused(rehearse(capsys, "preview", stack), "example.com has the CNAME record old.example.net", "do: delete it")
    _put_record(tmp_path, zone, type="TXT", content="v=spf1 -all")
    assert rehearse(capsys, "preview", stack).code == 0


@pytest.mark.usefixtures("on_paper")
def test_another_server_s_record_is_refused_or_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = write(tmp_path, {"site.redirects": []})
    zone = next(iter(_zones(tmp_path, stack, capsys)))
    _put_record(tmp_path, zone, type="A", content="203.0.113.9")
    told = "example.com has the A record 203.0.113.9, which is not this stack's"
    own = "cloudflare:index/dnsRecord:DnsRecord site-edge-example.com-a"
    for command in ("preview", "up"):
        seen = rehearse(capsys, command, stack)
        refused(seen, told, "write `flask-origin/bad` as its comment", f"{own} {zone}/abc123")
    _put_record(tmp_path, zone, type="A", content="203.0.113.9", comment="flask-origin/bad")
    assert rehearse(capsys, "preview", stack).code == 0
    _put_record(tmp_path, zone, type="A", content="203.0.113.9", comment="flask-origin/other")
    refused(rehearse(capsys, "preview", stack), told)
    # Its owner deletes it; the stack's own records are in nobody's way.
    World(tmp_path / "home" / "bad").store.delete("cloudflare/records", "abc123")
    assert rehearse(capsys, "up", stack).code == 0
    assert rehearse(capsys, "preview", stack).code == 0


@pytest.mark.usefixtures("on_paper")
def test_a_preview_warns_of_an_expired_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = write(tmp_path, {})
    up = rehearse(capsys, "up", stack)
    assert (up.code, "warning" in up.out) == (0, False), up
    state = tmp_path / "home" / "bad" / "engine" / "state.json"
    expires = next(line.split('"')[1] for line in up.out.splitlines() if "certificate_expires" in line)
    assert expires in state.read_text()
    state.write_text(state.read_text().replace(expires, "2024-01-02 03:04:05 +0000 UTC"))
    seen = rehearse(capsys, "preview", stack)
    (warning,) = [line for line in seen.out.splitlines() if line.startswith("warning:")]
    assert "certificate has expired (2024-01-02 03:04:05 +0000 UTC); renew it" in warning


def _put_record(tmp_path: Path, zone: str, **facts: str) -> None:
    """A record of example.com with the id abc123, made by somebody else."""
    record = {"zone_id": zone, "name": "example.com", "proxied": True, "ttl": 1, **facts}
    World(tmp_path / "home" / "bad").store.put("cloudflare/records", "abc123", {**record, "outputs": facts})


def _zones(tmp_path: Path, stack: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The account's zones: a preview opens the account."""
    assert rehearse(capsys, "preview", stack).code == 0
    return World(tmp_path / "home" / "bad").store.items("cloudflare/zones")


# ---- through the command itself ----


@pytest.mark.machines
def test_without_root_or_sudo_it_says_so() -> None:
    with tempfile.TemporaryDirectory() as tools:  # pytest's own folders are closed to others
        Path(tools).chmod(0o755)
        for tool in ("id", "uname", "dirname"):
            Path(tools, tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", f"PATH={tools}"]
        command = [*nobody, "/bin/sh", "./rehearse", "up"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "rehearse: it makes machines and networks, which needs root: run it as root or install sudo."
    ]


@pytest.mark.machines
def test_without_a_network_no_machine_is_made(tmp_path: Path) -> None:
    built = image.ensure(World(tmp_path / "any").cache)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "images").symlink_to(built.folder.parent)
    stack = write(tmp_path, {})
    run = functools.partial(
        subprocess.run,
        env={**os.environ, "REHEARSAL_HOME": str(tmp_path / "home"), "REHEARSAL_CACHE": str(cache)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    command = [sys.executable, "-m", "rehearsal"]
    try:
        done = run(["unshare", "--net", *command, "up", "--stack", str(stack)])
        assert done.returncode == 2
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("rehearse:")]
        assert "the Debian archive" in line
        assert "can't be reached" in line
        assert "do: check the network" in line
        assert "Traceback" not in done.stdout + done.stderr
        assert not list((tmp_path / "home" / "bad" / "cloud").glob("machines/*"))
    finally:
        assert run([*command, "destroy", "--stack", str(stack)]).returncode == 0
    assert not (tmp_path / "home" / "bad").exists()
