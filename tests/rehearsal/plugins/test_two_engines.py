"""One scenario, two engines, one end state: what the embedded engine does is what the official one does.

Machines are on paper here, since no engine knows what they are; the checks drive real ones through either.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.plugins.scenario import Scenario, Seen

pytestmark = needs_pulumi


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change, the command that follows it, and what has to come of it: operations (without "same") and words."""

    what: str
    change: Callable[[Scenario], Any] = lambda scenario: None
    command: str = "up"
    does: dict[str, int] | None = None  # counted; None: whatever it is, as long as it is the same
    refused: str = ""
    warns: str = ""
    previewed: bool = False  # asked for a preview first, both say the same


def _set(place: str, value: Any) -> Callable[[Scenario], None]:
    return lambda scenario: scenario.set(place, value)


def _replace(file: str, old: str, new: str) -> Callable[[Scenario], None]:
    return lambda scenario: scenario.replace(file, old, new)


def _all(*changes: Callable[[Scenario], Any]) -> Callable[[Scenario], None]:
    def change_all(scenario: Scenario) -> None:
        for change in changes:
            change(scenario)

    return change_all


def _hand_over(scenario: Scenario) -> None:
    """Another stack owns the zone's settings from now on, and its client certificate's CA is known."""
    (certificate,) = (scenario.world("embedded") / "cloud/cloudflare/origin_pull_certificates").glob("*.json")
    pem = x509.load_pem_x509_certificates(json.loads(certificate.read_text())["certificate"].encode())[0]
    (scenario.checkout / "ca.pem").write_bytes(pem.public_bytes(Encoding.PEM))
    scenario.set("edge.manage_zone_settings", False)
    scenario.set("edge.client_ca", "ca.pem")


def _expire(document: dict[str, Any]) -> None:
    soon = datetime.now(UTC) + timedelta(days=5)
    document["outputs"]["expiresOn"] = f"{soon:%Y-%m-%d %H:%M:%S} +0000 UTC"


def _unproxy(document: dict[str, Any]) -> None:
    document.update(proxied=False)
    document["outputs"].update(proxied=False)


def _make_flexible(document: dict[str, Any]) -> None:
    if document["setting_id"] == "ssl":
        document.update(value="flexible")
        document["outputs"].update(value="flexible")


def _open_8080(rules: str, world: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def open_it(document: dict[str, Any]) -> None:
        if rules in document["outputs"]:  # not the network's own group
            document["outputs"][rules].append(world)

    return open_it


def _by_hand(what: str, collection: str, change: Callable[[dict[str, Any]], None], **mended: int) -> tuple[Edit, Edit]:
    """What another hand does, as a refresh finds it; and how it is mended."""
    return (
        Edit(what=what, command="refresh", change=lambda scenario: scenario.change_cloud(collection, change)),
        Edit(what=f"{what}: mended", does=mended, previewed=True),
    )


_FLEXIBLE = _by_hand("SSL made flexible by hand", "cloudflare/settings", _make_flexible, update=1)
_REVOKED = (
    Edit(
        what="a certificate revoked",
        command="refresh",
        change=lambda scenario: scenario.delete_from_cloud("cloudflare/origin_certificates"),
    ),
    Edit(what="a certificate revoked: made anew", previewed=True),
)
_DROPLET = "components/droplet_host.py"
_KEY = 'f"{name}-key",\n            public_key=args.public_key,\n            opts=pulumi.ResourceOptions(parent=self)'
_RENAMED = (
    'f"{name}-login-key",\n            public_key=args.public_key,\n'
    '            opts=pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(name=f"{name}-key")])'
)
_OPTIONS = "depends_on=[firewall], ignore_changes=ignored"
_BOOTSTRAP = "provisioning/files/usr/local/sbin/bootstrap"

EDITS = (
    Edit(what="a new stack"),
    Edit(what="nothing", does={}),
    Edit(what="the host's size", change=_set("host.size", "s-2vcpu-2gb"), does={"update": 1}),
    Edit(what="SSH ranges", change=_set("operator.ranges", ["198.18.67.0/24"]), does={"update": 1}),
    Edit(what="a redirect more", change=_set("site.redirects", ["www.example.com", "old.example.com"])),
    Edit(what="no redirect", change=_set("site.redirects", [])),
    Edit(
        what="the server's options", change=_set("app.server", {"kind": "waitress", "threads": 4}), does={"update": 1}
    ),
    Edit(
        what="the app",
        change=_replace("examples/hello/hello.py", "\nRELEASE =", "\n# edited\nRELEASE ="),
        does={"update": 2},
    ),
    Edit(what="the environment", change=_set("app.environment", {"GREETING": "hi"}), does={"update": 1}),
    Edit(what="a secret more", change=lambda scenario: scenario.set_secret("TOKEN"), does={"update": 1}),
    Edit(what="another secret", change=lambda scenario: scenario.set_secret("TOKEN"), does={"update": 1}),
    Edit(
        what="the bootstrap, to be ignored",
        change=_all(
            _set("host.on_bootstrap_change", "ignore"), _replace(_BOOTSTRAP, "set -Eeuo", "# edited\nset -Eeuo")
        ),
    ),
    Edit(what="the bootstrap, to replace", change=_set("host.on_bootstrap_change", "replace")),
    Edit(what="a renamed resource", change=_replace(_DROPLET, _KEY, _RENAMED), does={}),
    Edit(what="protection", change=_replace(_DROPLET, _OPTIONS, f"{_OPTIONS}, protect=True"), does={}),
    Edit(what="the region, protected", change=_set("host.region", "nyc3"), refused="protect"),
    Edit(what="the region", change=_replace(_DROPLET, ", protect=True", "")),
    *_by_hand("a record changed by hand", "cloudflare/records", _unproxy, update=2),
    *_FLEXIBLE,
    *_by_hand(
        "a door opened by hand",
        "digitalocean/firewalls",
        _open_8080("inboundRules", {"protocol": "tcp", "portRange": "8080", "sourceAddresses": ["0.0.0.0/0"]}),
        update=1,
    ),
    *_REVOKED,
    Edit(
        what="a certificate near expiry",
        command="refresh",
        change=lambda scenario: scenario.change_cloud("cloudflare/origin_certificates", _expire),
    ),
    Edit(what="its warning", does={}, warns="expires in"),
    Edit(what="the certificate's days", change=_set("edge.certificate_days", 90)),
    Edit(
        what="the image",
        change=_all(
            _replace(_DROPLET, "debian-13-x64", "debian-14-x64"),
            _replace("rehearsal/providers/digitalocean/catalog.py", "debian-13-x64", "debian-14-x64"),
        ),
    ),
    Edit(what="zone settings handed over", change=_hand_over),
    Edit(what="the end", command="destroy"),
)


ON_AWS = (
    Edit(what="a new stack"),
    Edit(what="nothing", does={}),
    Edit(what="the host's size, which changes its address", change=_set("host.size", "t3.small")),
    *_by_hand("a record changed by hand", "cloudflare/records", _unproxy, update=4),
    *_FLEXIBLE,
    *_by_hand(
        "a door opened by hand",
        "aws/security_groups",
        _open_8080("ingress", {"protocol": "tcp", "fromPort": 8080, "toPort": 8080, "cidrBlocks": ["0.0.0.0/0"]}),
        update=1,
    ),
    *_REVOKED,
    Edit(what="the region, which is the provider's", change=_set("host.region", "us-east-1")),
    Edit(
        what="a newer image, to be ignored",
        change=_replace("rehearsal/providers/aws/catalog.py", '"debian-13"', '"debian-13-newer"'),
        does={},
    ),
    Edit(what="the end", command="destroy"),
)

GENERATED = st.fixed_dictionaries(
    {
        "host.region": st.sampled_from(["fra1", "nyc3"]),
        "host.on_bootstrap_change": st.sampled_from(["replace", "ignore"]),
        "operator.ranges": st.lists(
            st.sampled_from(["198.18.67.10/32", "198.18.68.0/24", "2001:db8:67::10/128"]), min_size=1, unique=True
        ),
        "site.redirects": st.lists(st.sampled_from(["www.example.com", "old.example.com"]), unique=True),
        "app.server": st.fixed_dictionaries({"kind": st.just("waitress"), "threads": st.integers(1, 4)}),
        "app.environment": st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["1", "two", "ü\n"])),
        "app.keep": st.integers(2, 3),
        "edge.minimum_tls": st.sampled_from(["1.2", "1.3"]),
        "edge.certificate_days": st.sampled_from([90, 365]),
    }
)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return Scenario(tmp_path_factory.mktemp("scenario"))


@pytest.fixture(scope="module")
def on_aws(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return Scenario(tmp_path_factory.mktemp("aws"), "aws")


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.what)
def test_both_do_the_same(edit: Edit, scenario: Scenario) -> None:
    _expect_the_same(edit, scenario)


@pytest.mark.parametrize("edit", ON_AWS, ids=lambda edit: edit.what)
def test_both_do_the_same_on_aws(edit: Edit, on_aws: Scenario) -> None:
    _expect_the_same(edit, on_aws)


def _expect_the_same(edit: Edit, scenario: Scenario) -> None:
    edit.change(scenario)
    if edit.previewed:
        embedded, official = scenario.run("preview").values()
        assert embedded.ok and official.ok
        assert _worth_telling(embedded) == _worth_telling(official) != {}
        assert embedded.cloud == official.cloud
    seen = scenario.run(edit.command)
    embedded, official = seen["embedded"], seen["pulumi"]
    for each in seen.values():
        assert each.ok == (not edit.refused), each.errors
        assert edit.refused in " ".join(each.errors)
        assert edit.warns in " ".join(each.warnings) if edit.warns else not each.warnings
        if edit.does is not None:
            assert _counted(each) == edit.does, _worth_telling(each)
    if not edit.refused:
        # How far a refused run got depends on what was under way.
        assert _worth_telling(embedded) == _worth_telling(official)
        assert set(embedded.operations) == set(official.operations)
        assert embedded.outputs == official.outputs
    assert embedded.cloud == official.cloud


@pytest.fixture(scope="module")
def wandering(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return Scenario(tmp_path_factory.mktemp("wandering"))


@settings(
    max_examples=4,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # each example goes on from the one before: none can be tried alone
    suppress_health_check=[HealthCheck.too_slow],
)
@given(wanted=GENERATED)
def test_whatever_is_set_both_end_the_same(wanted: dict[str, Any], wandering: Scenario) -> None:
    for place, value in wanted.items():
        wandering.set(place, value)
    seen = wandering.run("up")
    assert [each.errors for each in seen.values()] == [(), ()]
    assert seen["embedded"].operations == seen["pulumi"].operations
    assert seen["embedded"].cloud == seen["pulumi"].cloud


def _worth_telling(seen: Seen) -> dict[str, list[str]]:
    return {urn: words for urn, words in seen.operations.items() if words != ["same"]}


def _counted(seen: Seen) -> dict[str, int]:
    return dict(Counter(word for words in _worth_telling(seen).values() for word in words))
