"""What a user gets wrong is told by the official engine as clearly as by the embedded one, and nothing is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal import rehearsal
from rehearsal.cloud.world import World
from tests.rehearsal import paper
from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.stacks import rehearse, write

pytestmark = needs_pulumi

CANARY = "canary-7d1f"
Patch = Callable[[pytest.MonkeyPatch], None]


def _without(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rehearsal, "CREDENTIALS", {})


def _without_aws(patch: pytest.MonkeyPatch) -> None:
    others = {name: value for name, value in rehearsal.CREDENTIALS.items() if not name.startswith("AWS_")}
    patch.setattr(rehearsal, "CREDENTIALS", others)


def _wrong(credential: str) -> Patch:
    return lambda patch: patch.setattr(rehearsal, "CREDENTIALS", {**rehearsal.CREDENTIALS, credential: CANARY})


def _without_zone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rehearsal.Rehearsal, "_open_account", lambda self: None)


@pytest.mark.parametrize(
    ("based_on", "change", "words"),
    [
        ("dev", _without, ("CLOUDFLARE_API_TOKEN: is missing", "DIGITALOCEAN_TOKEN: is missing", "do: export")),
        # Credentials for AWS may come from anywhere, so that only its provider can tell.
        ("aws", _without, ("CLOUDFLARE_API_TOKEN: is missing", "do: export")),
        ("aws", _without_aws, ("host.region", "No valid credential sources found", "do:")),
        ("dev", _wrong("CLOUDFLARE_API_TOKEN"), ("site.zone", "Authentication error", "do:")),
        ("dev", _wrong("DIGITALOCEAN_TOKEN"), ("host.region", "Unable to authenticate you", "do:")),
        ("aws", _wrong("AWS_ACCESS_KEY_ID"), ("host.region", "AuthFailure", "do:")),
        ("dev", _without_zone, ("site.zone", "example.com", "zones in the account: none", "do:")),
    ],
    ids=["none", "none on AWS", "none for AWS", "Cloudflare's", "DigitalOcean's", "AWS's", "another account's zone"],
)
def test_a_preview_refuses(
    based_on: str,
    change: Patch,
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REHEARSAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    paper.lay(monkeypatch)
    change(monkeypatch)
    seen = rehearse(capsys, "preview", write(tmp_path, {}, based_on=based_on), "--engine", "pulumi")
    told = seen.out + seen.err
    assert seen.code != 0
    for word in words:
        assert word in told, told
    assert "Traceback" not in told
    assert CANARY not in told
    cloud = World(tmp_path / "home" / "bad").root / "cloud"
    # Networks and their groups, and a zone, were there before.
    made = {str(path.relative_to(cloud)).rpartition("/")[0] for path in cloud.rglob("*.json")}
    assert made <= {"cloudflare/zones", "aws/vpcs", "aws/subnets", "aws/security_groups"}
