"""A zone's settings through a stack's life, on the stand-in account: what is remembered, and what destroy puts back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components import zone_script
from rehearsal import providers
from rehearsal.cloud import edge, zone
from rehearsal.cloud.world import World
from rehearsal.engine import Engine, Result
from rehearsal.providers.account import TOKEN
from rehearsal.providers.cloudflare import http_api, zones
from tests.rehearsal.engine.mem import good

PROGRAM = """
import pulumi
from components.edge import Edge, EdgeArgs, zone_settings
from components.origin_pulls import OriginPulls, OriginPullsArgs
from components.zone_before import ZoneBefore, ZoneBeforeArgs

config = pulumi.Config("flask-origin")
zone_id, hostname, tls = config.require("zone"), config.require("hostname"), config.get("tls")
owned = zone_settings(minimum_tls=tls) if tls else {}
before = ZoneBefore(
    "before",
    ZoneBeforeArgs(
        zone_id=zone_id, settings=owned, origin_pulls=bool(owned), at_destroy=config.get("at_destroy") or "keep"
    ),
)
if owned:
    OriginPulls("pulls", OriginPullsArgs(zone_id=zone_id, hostname=hostname), before=before.remembered)
Edge(
    "edge",
    EdgeArgs(
        zone_id=zone_id,
        hostnames=[hostname],
        ipv4="198.19.1.2",
        ipv6=None,
        host_id="1",
        drain=0,
        zone_settings=owned,
    ),
    before=before.remembered,
    after=[],
)
"""
# As the zone's owner left it: neither Cloudflare's defaults nor what the stack wants.
OWNERS = {"ssl_automatic_mode": "auto", "ssl": "flexible", "always_use_https": "off", "min_tls_version": "1.1"}
STACKS = {"ssl_automatic_mode": "custom", "ssl": "strict", "always_use_https": "on", "min_tls_version": "1.2"}


class Stack:
    """The program above in a world whose edge is its store alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(PROGRAM)
        self.world = World(folder / "world")
        self.zone_id = zones.seed_zone(self.world, "example.com")
        self.engine = Engine(
            folder / "engine",
            "flask-origin",
            "dev",
            providers.resources(self.world),
            providers.functions(self.world),
        )
        self.by_hand(**OWNERS)

    def up(self, **config: str) -> Result:
        full = {"zone": self.zone_id, "hostname": "example.com", "tls": "1.2", **config}
        return self.engine.up(self.folder / "program", {f"flask-origin:{key}": full[key] for key in full if full[key]})

    def by_hand(self, **settings: str) -> None:
        """Set in the dashboard."""
        handler = providers.resources(self.world)["cloudflare:index/zoneSetting:ZoneSetting"]
        for name, value in settings.items():
            handler.create("", {"zoneId": self.zone_id, "settingId": name, "value": value})

    @property
    def settings(self) -> dict[str, str]:
        return {name: zone.setting(self.world, self.zone_id, name) for name in OWNERS}

    @property
    def pulls(self) -> bool:
        kept = self.world.store.get("cloudflare/origin_pulls", self.zone_id)
        return bool(kept and kept["enabled"])


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    monkeypatch.setattr(edge, "apply", lambda world: None)
    return Stack(tmp_path)


@pytest.mark.parametrize(("at_destroy", "left", "pulls"), [("keep", STACKS, True), ("restore", OWNERS, False)])
def test_destroy_leaves_the_zone_as_was_chosen(
    stack: Stack, at_destroy: str, left: dict[str, str], pulls: bool
) -> None:
    good(stack.up(at_destroy=at_destroy))
    assert (stack.settings, stack.pulls) == (STACKS, True)
    assert good(stack.up(at_destroy=at_destroy)) == []
    good(stack.engine.destroy())
    assert (stack.settings, stack.pulls) == (left, pulls)


def test_a_change_of_mind_changes_nothing_until_destroy(stack: Stack) -> None:
    good(stack.up())
    assert good(stack.up(at_destroy="restore")) == ["update before-remembered"]
    assert stack.settings == STACKS
    good(stack.engine.destroy())
    assert stack.settings == OWNERS


def test_what_was_remembered_outlives_other_changes_of_what_the_stack_sets(stack: Stack) -> None:
    good(stack.up(at_destroy="restore"))
    good(stack.up(at_destroy="restore", tls="1.3"))
    assert stack.settings == {**STACKS, "min_tls_version": "1.3"}
    good(stack.engine.destroy())
    assert stack.settings == OWNERS


def test_what_somebody_changed_meanwhile_is_theirs(stack: Stack) -> None:
    good(stack.up(at_destroy="restore"))
    stack.by_hand(always_use_https="off", min_tls_version="1.3")
    good(stack.engine.destroy())
    assert stack.settings == {**OWNERS, "min_tls_version": "1.3"}


def test_handing_the_zone_over_puts_nothing_back_then_or_later(stack: Stack) -> None:
    good(stack.up(at_destroy="restore"))
    good(stack.up(tls=""))
    assert stack.settings == STACKS
    good(stack.engine.destroy())
    assert stack.settings == STACKS


def test_another_zone_is_remembered_for_itself(stack: Stack) -> None:
    good(stack.up(at_destroy="restore"))
    other = zones.seed_zone(stack.world, "example.org")
    good(stack.up(at_destroy="restore", zone=other, hostname="example.org"))
    assert stack.settings == OWNERS
    assert zone.setting(stack.world, other, "ssl") == "strict"
    good(stack.engine.destroy())
    assert zone.setting(stack.world, other, "ssl") == zone.SETTINGS["ssl"].default


def test_the_token_is_not_kept(stack: Stack) -> None:
    good(stack.up(at_destroy="restore"))
    kept = [each for each in stack.engine.state() if each["type"] == "command:local:Command"]
    assert kept
    assert TOKEN not in json.dumps(kept)


def script(stack: Stack, act: str, *, token: str | None, at_destroy: str, before: Any = None) -> tuple[int, str, str]:
    """The script alone, with a token of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CLOUDFLARE_API_TOKEN"},
        **({"CLOUDFLARE_API_TOKEN": token} if token else {}),
        "ZONE": stack.zone_id,
        "OWNED": json.dumps({**STACKS, zone_script.PULLS: True}),
        "AT_DESTROY": at_destroy,
        "PULUMI_COMMAND_STDOUT": json.dumps(before) if before else "",
    }
    with http_api.serving(stack.world) as address:
        done = subprocess.run(
            [sys.executable, "-I", str(zone_script.__file__), act],
            env={**environment, "CLOUDFLARE_BASE_URL": address},
            capture_output=True,
            text=True,
            check=False,
        )
    return done.returncode, done.stdout, done.stderr


def test_a_token_that_may_only_look_changes_nothing_and_says_what_to_do_by_hand(stack: Stack) -> None:
    good(stack.up())
    before = {**OWNERS, zone_script.PULLS: False}
    code, _, said = script(stack, "restore", token=http_api.READ_ONLY, at_destroy="restore", before=before)
    assert (code, stack.settings, stack.pulls) == (1, STACKS, True)
    assert (
        '- ssl to "flexible" (PATCH settings/ssl: HTTP 403, Unauthorized to access requested resource (9109))' in said
    )
    assert "- origin_pulls to false" in said
    assert "set them by hand in Cloudflare's dashboard" in said
    assert http_api.READ_ONLY not in said
    stack.by_hand(**OWNERS)  # as it says; the switch has a word for itself in the zone's settings
    providers.resources(stack.world)[
        "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings"
    ].create("", {"zoneId": stack.zone_id, "enabled": False})
    assert script(stack, "restore", token=http_api.READ_ONLY, at_destroy="restore", before=before)[0] == 0


@pytest.mark.parametrize(
    ("token", "said"),
    [(None, "CLOUDFLARE_API_TOKEN is not in the environment"), ("wrong", "HTTP 403, Authentication error (10000)")],
)
def test_what_can_not_be_read_is_an_error_only_where_it_is_needed(stack: Stack, token: str | None, said: str) -> None:
    code, out, err = script(stack, "remember", token=token, at_destroy="restore")
    assert (code, out) == (1, "")
    assert said in err
    assert "or write keep" in err
    code, out, err = script(stack, "remember", token=token, at_destroy="keep")
    assert (code, json.loads(out)) == (0, {})
    assert said in err
    assert script(stack, "restore", token=token, at_destroy="keep", before=OWNERS) == (0, "", "")


def test_a_cloudflare_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("ZONE", "z")
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(zone_script.Refused, match=r"GET settings/ssl: .*refused"):
        zone_script.read("ssl")
