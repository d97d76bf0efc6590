"""Cloudflare's handlers: the account's zones, records, settings, and the certificates of both sides of the origin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from rehearsal.cloud import authorities, edge
from rehearsal.cloud.world import World
from rehearsal.providers.base import UNKNOWN, ApiError, Function, Resource
from rehearsal.providers.cloudflare import zones
from tests.rehearsal.providers.conftest import Calls
from tests.rehearsal.providers.driving import Made, make, refusals

Resources = dict[str, Resource]


@pytest.fixture
def zone(account: World) -> str:
    return zones.seed_zone(account, "example.com")


@pytest.fixture
def request_and_key(resources: Resources) -> tuple[str, str]:
    key = make(resources["PrivateKey"], algorithm="ECDSA", ecdsaCurve="P256")
    request = make(resources["CertRequest"], privateKeyPem=key.outputs["privateKeyPem"], dnsNames=["example.com"])
    return request.outputs["certRequestPem"], key.outputs["privateKeyPem"]


def record(resources: Resources, zone: str, **more: object) -> Made:
    given = {"zoneId": zone, "name": "www.example.com", "type": "A", "content": "198.19.1.2", "ttl": 1, "proxied": True}
    return make(resources["DnsRecord"], **{**given, **more})


# Zones


def test_seeding_a_zone_twice_is_one_zone(account: World, zone: str) -> None:
    assert zones.seed_zone(account, "Example.com.") == zone
    assert [kept["name"] for kept in account.store.items("cloudflare/zones").values()] == ["example.com"]


@pytest.mark.parametrize("name", ["", "com", "exa mple.com", "-a.com", "a..com", "a" * 64 + ".com", "../x.com"])
def test_what_is_no_domain_is_not_seeded(account: World, name: str) -> None:
    with pytest.raises(ValueError, match="is no domain name"):
        zones.seed_zone(account, name)


def test_a_zone_is_found_by_name_or_id(functions: dict[str, Function], zone: str) -> None:
    by_name = functions["getZone"].invoke({"filter": {"name": "example.com"}})
    assert (by_name["id"], by_name["zoneId"], by_name["name"], by_name["status"]) == (
        zone,
        zone,
        "example.com",
        "active",
    )
    assert functions["getZone"].invoke({"zoneId": zone, "filter": None})["name"] == "example.com"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"filter": {"name": "example.org"}}, "0 found for example.org; zones in the account: example.com"),
        ({"zoneId": "0" * 32}, "Invalid zone identifier"),
        ({}, "Exactly one of these attributes"),
        ({"zoneId": "0" * 32, "filter": {"name": "x"}}, "Exactly one of these attributes"),
        ({"filter": {"account": {"name": "x"}}}, "filter.account is not rehearsed"),
    ],
)
def test_a_zone_that_is_not_there_is_no_answer(
    functions: dict[str, Function], zone: str, args: dict[str, object], said: str
) -> None:
    with pytest.raises(ApiError, match=said):
        functions["getZone"].invoke(args)


def test_the_ranges_are_as_many_as_cloudflares(functions: dict[str, Function]) -> None:
    found = functions["getIpRanges"].invoke({})
    assert (len(found["ipv4Cidrs"]), len(found["ipv6Cidrs"])) == (15, 7)
    assert found["ipv4Cidrs"][0] == "198.18.16.0/24"
    assert found["ipv6Cidrs"][-1] == "2001:db8:cf06::/48"
    with pytest.raises(ApiError, match="not rehearsed"):
        functions["getIpRanges"].invoke({"networks": "jdcloud"})


# Records


def test_a_record_reaches_the_edge(resources: Resources, account: World, zone: str, calls: Calls) -> None:
    made = record(resources, zone)
    kept = account.store.get("cloudflare/records", made.id)
    assert kept is not None
    assert (kept["zone_id"], kept["name"], kept["type"], kept["content"], kept["proxied"], kept["ttl"]) == (
        zone,
        "www.example.com",
        "A",
        "198.19.1.2",
        True,
        1,
    )
    assert made.outputs["proxiable"] is True
    made.update(content="198.19.2.2")
    assert (account.store.get("cloudflare/records", made.id) or {})["content"] == "198.19.2.2"
    made.delete()
    assert not account.store.items("cloudflare/records")
    assert len(calls.of("edge")) == 3
    made.delete()


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("@", "example.com"),
        ("example.com", "example.com"),
        ("www", "www.example.com"),
        ("A.B.Example.com", "a.b.example.com"),
    ],
)
def test_names_are_made_full(resources: Resources, account: World, zone: str, given: str, full: str) -> None:
    made = record(resources, zone, name=given)
    assert (account.store.get("cloudflare/records", made.id) or {})["name"] == full
    assert made.outputs["name"] == given
    assert (made.read() or {})["name"] == full


def test_a_name_of_another_zone_is_refused(resources: Resources, zone: str) -> None:
    with pytest.raises(ApiError, match=r"is not in the zone example\.com: .*www\.example\.org\.example\.com"):
        record(resources, zone, name="www.example.org")


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (("A", "198.19.1.2"), ("A", "198.19.1.2"), 81058),
        (("A", "198.19.1.2"), ("CNAME", "x.example.com"), 81053),
        (("CNAME", "x.example.com"), ("CNAME", "y.example.com"), 81053),
        (("CNAME", "x.example.com"), ("A", "198.19.1.2"), 81054),
        (("CNAME", "x.example.com"), ("AAAA", "2001:db8:d0:1::2"), 81054),
        (("A", "198.19.1.2"), ("A", "198.19.2.2"), None),
        (("A", "198.19.1.2"), ("AAAA", "2001:db8:d0:1::2"), None),
        (("A", "198.19.1.2"), ("TXT", "198.19.1.2"), None),
    ],
)
def test_records_of_one_name(
    resources: Resources, zone: str, first: tuple[str, str], second: tuple[str, str], code: int | None
) -> None:
    for kind, content in (first,):
        record(resources, zone, type=kind, content=content, proxied=False)
    if code is None:
        record(resources, zone, type=second[0], content=second[1], proxied=False)
        return
    with pytest.raises(ApiError, match=rf'400 Bad Request .*"code":{code},'):
        record(resources, zone, type=second[0], content=second[1], proxied=False)


def test_an_update_may_not_clash_either(resources: Resources, zone: str) -> None:
    record(resources, zone)
    other = record(resources, zone, content="198.19.2.2")
    with pytest.raises(ApiError, match="An identical record already exists"):
        other.update(content="198.19.1.2")


@pytest.mark.parametrize(
    ("property", "value", "said"),
    [
        ("content", "198.19.1", "must be a valid IPv4 address"),
        ("content", "2001:db8::1", "must be a valid IPv4 address"),
        ("content", None, "is required"),
        ("ttl", 59, "Invalid TTL"),
        ("ttl", 86401, "Invalid TTL"),
        ("type", "MX", "MX is not rehearsed, only A, AAAA, CNAME, TXT"),
        ("type", "TXT", "This DNS record cannot be proxied"),
        ("name", "a b.example.com", "DNS name is invalid"),
        ("name", "", "DNS name is invalid"),
        ("comment", "x" * 101, "too long"),
        ("data", {"flags": 1}, "is not rehearsed"),
    ],
)
def test_an_odd_record_is_refused(resources: Resources, zone: str, property: str, value: object, said: str) -> None:
    given = {"zoneId": zone, "name": "www", "type": "A", "content": "198.19.1.2", "ttl": 1, "proxied": True}
    assert any(said in reason for reason in refusals(resources["DnsRecord"], **{**given, property: value}).values())


def test_an_unknown_address_is_taken_on_trust(resources: Resources, zone: str) -> None:
    given = {"zoneId": zone, "name": "www", "type": "AAAA", "content": UNKNOWN, "ttl": 1, "proxied": True}
    assert not refusals(resources["DnsRecord"], **given)


def test_a_proxied_record_has_the_automatic_ttl(resources: Resources, zone: str) -> None:
    with pytest.raises(ApiError, match="ttl must be set to 1 when `proxied` is true"):
        record(resources, zone, ttl=300)
    assert record(resources, zone, ttl=300, proxied=False).outputs["ttl"] == 300


def test_what_a_change_of_a_record_means(resources: Resources, zone: str) -> None:
    made = record(resources, zone)
    assert made.diff(type="AAAA", content="2001:db8:d0:1::2").replaces == ("type",)
    assert made.diff(zoneId="0" * 32).replaces == ("zoneId",)
    assert made.diff(content="198.19.2.2", proxied=False).changes == ("content", "proxied")
    assert made.diff(content="198.19.2.2", proxied=False, name="w").replaces == ()
    assert made.diff().changes == ()


def test_a_record_in_no_zone_of_the_account_is_refused(resources: Resources, zone: str) -> None:
    with pytest.raises(ApiError, match="Invalid zone identifier"):
        record(resources, "0" * 32)


def test_a_record_is_imported_by_both_ids(resources: Resources, zone: str) -> None:
    made = record(resources, zone)
    found = made.handler.read(f"{zone}/{made.id}", {})
    assert found is not None
    assert found["content"] == "198.19.1.2"
    assert made.handler.read(f"{zone}/{'0' * 32}", {}) is None


# Settings


def test_a_setting_is_set_and_stays_when_deleted(resources: Resources, account: World, zone: str) -> None:
    made = make(resources["ZoneSetting"], zoneId=zone, settingId="ssl", value="strict")
    assert made.id == "ssl"
    made.update(value="full")
    made.delete()
    assert (account.store.get("cloudflare/settings", f"{zone}.ssl") or {})["value"] == "full"
    assert (made.read() or {})["value"] == "full"


def test_a_setting_that_nobody_set_reads_as_cloudflares_default(resources: Resources, zone: str) -> None:
    handler = resources["ZoneSetting"]
    assert (handler.read(f"{zone}/min_tls_version", {}) or {})["value"] == "1.0"
    assert handler.read(f"{zone}/nonesuch", {}) is None
    with pytest.raises(ApiError, match="expected"):
        handler.read("ssl", {})


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (
            "ssl",
            "paranoid",
            "Invalid value for zone setting ssl (1007): 'paranoid'; allowed: off, flexible, full, strict",
        ),
        ("min_tls_version", 1.2, "Invalid value for zone setting min_tls_version (1007)"),
        ("waf", "on", "Unrecognized zone setting name: waf (1006)"),
    ],
)
def test_settings_are_cloudflares(resources: Resources, zone: str, setting: str, value: object, said: str) -> None:
    found = refusals(resources["ZoneSetting"], zoneId=zone, settingId=setting, value=value)
    assert any(reason.startswith(said) for reason in found.values()), found


def test_a_setting_moves_by_replacement(resources: Resources, zone: str) -> None:
    made = make(resources["ZoneSetting"], zoneId=zone, settingId="ssl", value="strict")
    assert made.diff(value="full").replaces == ()
    assert made.diff(settingId="http2", value="on").replaces == ("settingId",)


def test_a_setting_that_the_edge_can_not_serve_is_taken_back(
    resources: Resources, account: World, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(resources["ZoneSetting"], zoneId=zone, settingId="ssl", value="strict")

    def refuse(world: World) -> None:
        raise edge.EdgeRefused("no version is left")

    monkeypatch.setattr(edge, "apply", refuse)
    with pytest.raises(ApiError, match="no version is left"):
        made.update(value="off")
    with pytest.raises(ApiError):
        make(resources["ZoneSetting"], zoneId=zone, settingId="http2", value="off")
    assert (account.store.get("cloudflare/settings", f"{zone}.ssl") or {})["value"] == "strict"
    assert account.store.get("cloudflare/settings", f"{zone}.http2") is None


# Certificates


def test_the_origin_ca_signs_for_the_accounts_zones(
    resources: Resources, account: World, zone: str, request_and_key: tuple[str, str]
) -> None:
    made = make(
        resources["OriginCaCertificate"],
        csr=request_and_key[0],
        hostnames=["example.com", "*.example.com"],
        requestType="origin-ecc",
        requestedValidity=90,
    )
    leaf = x509.load_pem_x509_certificate(made.outputs["certificate"].encode())
    root = x509.load_pem_x509_certificate(authorities.origin(account).certificate.encode())
    leaf.verify_directly_issued_by(root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com", "*.example.com"]
    ends = datetime.strptime(made.outputs["expiresOn"], "%Y-%m-%d %H:%M:%S %z UTC")
    assert abs(ends - datetime.now(UTC) - timedelta(days=90)) < timedelta(hours=2)
    assert made.diff(requestedValidity=365).replaces == ("requestedValidity",)
    assert made.diff(hostnames=["example.com"]).replaces == ("hostnames",)
    assert (made.read() or {})["certificate"] == made.outputs["certificate"]
    made.delete()
    assert made.read() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hostnames": ["example.org"]}, "Failed to validate requested hostname example.org"),
        ({"csr": "garbage"}, "Failed to parse CSR"),
        ({"requestType": "origin-rsa"}, "Failed to parse CSR: origin-rsa needs a key of that kind"),
    ],
)
def test_the_origin_ca_refuses(
    resources: Resources, zone: str, request_and_key: tuple[str, str], change: dict[str, object], said: str
) -> None:
    given = {"csr": request_and_key[0], "hostnames": ["example.com"], "requestType": "origin-ecc"}
    with pytest.raises(ApiError, match=said):
        make(resources["OriginCaCertificate"], **{**given, **change})


@pytest.mark.parametrize(
    ("property", "value"),
    [
        ("requestedValidity", 100),
        ("requestType", "rsa"),
        ("requestType", "keyless-certificate"),
        ("hostnames", []),
        ("hostnames", ["*.*.example.com"]),
        ("hostnames", ["*.com*"]),
        ("hostnames", ["x.example.com"] * 201),
    ],
)
def test_an_odd_request_is_refused(resources: Resources, property: str, value: object) -> None:
    given = {"csr": "x", "hostnames": ["example.com"], "requestType": "origin-ecc"}
    assert property in refusals(resources["OriginCaCertificate"], **{**given, property: value})


@pytest.fixture
def pair() -> authorities.Pair:
    return authorities.new_authority("ours").issue([], common_name="edge")


def test_the_zones_own_client_certificate_reaches_the_edge(
    resources: Resources, account: World, zone: str, pair: authorities.Pair
) -> None:
    handler = resources["AuthenticatedOriginPullsCertificate"]
    made = make(handler, zoneId=zone, certificate=pair.certificate, privateKey=pair.private_key)
    kept = account.store.get("cloudflare/origin_pull_certificates", made.id) or {}
    assert (kept["zone_id"], kept["certificate"], kept["private_key"]) == (zone, pair.certificate, pair.private_key)
    assert kept["status"] == made.outputs["status"] == "active"
    assert "privateKey" not in kept["outputs"]
    assert (made.read() or {})["privateKey"] == pair.private_key
    assert made.diff(certificate=pair.certificate.rstrip()).changes == ()
    other = authorities.new_authority("other").issue([])
    assert made.diff(certificate=other.certificate, privateKey=other.private_key).replaces == ("certificate",)
    made.delete()
    assert not account.store.items("cloudflare/origin_pull_certificates")


def test_a_pair_that_is_none_is_refused(resources: Resources, zone: str, pair: authorities.Pair) -> None:
    other = authorities.new_authority("other").issue([])
    expired = authorities.new_authority("old").issue([], days=1, since=datetime.now(UTC) - timedelta(days=2))
    for certificate, key, said in (
        (pair.certificate, other.private_key, "does not match"),
        ("garbage", pair.private_key, "certificate could not be parsed"),
        (pair.certificate, "garbage", "private key could not be parsed"),
        (expired.certificate, expired.private_key, "has expired"),
    ):
        with pytest.raises(ApiError, match=said):
            make(resources["AuthenticatedOriginPullsCertificate"], zoneId=zone, certificate=certificate, privateKey=key)


def test_origin_pulls_are_switched_and_stay_when_deleted(resources: Resources, account: World, zone: str) -> None:
    made = make(resources["AuthenticatedOriginPullsSettings"], zoneId=zone, enabled=True)
    assert made.id == zone
    assert (account.store.get("cloudflare/origin_pulls", zone) or {})["enabled"] is True
    made.delete()
    assert (account.store.get("cloudflare/origin_pulls", zone) or {})["enabled"] is True
    assert made.update(enabled=False)["enabled"] is False
    assert (account.store.get("cloudflare/origin_pulls", zone) or {})["enabled"] is False


def test_a_token_that_is_not_the_rehearsals_is_refused(
    resources: Resources, functions: dict[str, Function], zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    for call in (lambda: record(resources, zone), lambda: functions["getZone"].invoke({"zoneId": zone})):
        with pytest.raises(ApiError, match=r"Authentication error \(10000\)"):
            call()


def test_what_an_interrupted_create_left_is_found(resources: Resources, zone: str) -> None:
    made = record(resources, zone)
    found = made.handler.adopt("it", made.inputs)
    assert found is not None
    assert found[0] == made.id
    assert made.handler.adopt("it", {**made.inputs, "ttl": 1.0}) == found
    assert made.handler.adopt("it", {**made.inputs, "content": "198.19.2.2"}) is None
