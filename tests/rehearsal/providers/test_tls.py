"""Keys and certificates against openssl and ssh-keygen, which judge what the real provider's look like."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rehearsal.providers import tls
from rehearsal.providers.base import UNKNOWN, ApiError, Resource
from tests.rehearsal.providers.driving import Made, make, refusals

Resources = dict[str, Resource]
KEYS = [
    {"algorithm": "RSA", "rsaBits": 2048},
    {"algorithm": "ECDSA", "ecdsaCurve": "P256"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P384"},
    {"algorithm": "ED25519"},
]


def openssl(*arguments: str, given: str) -> str:
    return subprocess.run(
        ["openssl", *arguments], input=given, text=True, capture_output=True, check=True, timeout=30
    ).stdout


@pytest.fixture
def key(resources: Resources) -> str:
    return make(resources["PrivateKey"], algorithm="ECDSA", ecdsaCurve="P256").outputs["privateKeyPem"]


@pytest.fixture
def ca(resources: Resources, key: str) -> Made:
    return make(
        resources["SelfSignedCert"],
        privateKeyPem=key,
        isCaCertificate=True,
        validityPeriodHours=24,
        allowedUses=["cert_signing", "crl_signing"],
        subject={"commonName": "origin pulls", "organization": "Example"},
    )


@pytest.mark.parametrize("given", KEYS, ids=lambda given: "-".join(map(str, given.values())))
def test_keys_in_every_form(resources: Resources, tmp_path: Path, given: dict[str, object]) -> None:
    made = make(resources["PrivateKey"], **given)
    public = openssl("pkey", "-pubout", given=made.outputs["privateKeyPem"])
    assert public == made.outputs["publicKeyPem"]
    assert public == openssl("pkey", "-pubout", given=made.outputs["privateKeyPemPkcs8"])
    head = {"RSA": "RSA PRIVATE", "ECDSA": "EC PRIVATE", "ED25519": "PRIVATE"}[str(given["algorithm"])]
    assert made.outputs["privateKeyPem"].startswith(f"-----BEGIN {head} KEY-----\n")
    assert made.outputs["privateKeyPemPkcs8"].startswith("-----BEGIN PRIVATE KEY-----\n")
    identity = tmp_path / "key"
    identity.touch(mode=0o600)
    identity.write_text(made.outputs["privateKeyOpenssh"])
    shown = subprocess.run(["ssh-keygen", "-y", "-f", identity], text=True, capture_output=True, check=True).stdout
    assert shown.split()[:2] == made.outputs["publicKeyOpenssh"].split()
    assert made.outputs["publicKeyOpenssh"].endswith("\n")
    fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", identity], text=True, capture_output=True, check=True)
    assert fingerprint.stdout.split()[1] == made.outputs["publicKeyFingerprintSha256"]


def test_openssh_knows_no_p224(resources: Resources) -> None:
    made = make(resources["PrivateKey"], algorithm="ECDSA")
    assert made.outputs["ecdsaCurve"] == "P224"
    assert made.outputs["privateKeyOpenssh"] == made.outputs["publicKeyOpenssh"] == ""


@pytest.mark.parametrize(
    ("property", "value"), [("algorithm", "DSA"), ("rsaBits", 512), ("ecdsaCurve", "P255"), ("rsaBits", "2048")]
)
def test_an_odd_key_is_refused(resources: Resources, property: str, value: object) -> None:
    assert property in refusals(resources["PrivateKey"], **{"algorithm": "RSA", property: value})


def test_a_request_names_what_it_is_for(resources: Resources, key: str) -> None:
    made = make(
        resources["CertRequest"],
        privateKeyPem=key,
        subject={"commonName": "example.com", "organization": "Example", "country": "AT"},
        dnsNames=["example.com", "www.example.com"],
        ipAddresses=["198.19.1.2", "2001:db8::1"],
    )
    text = openssl("req", "-verify", "-text", "-noout", given=made.outputs["certRequestPem"])
    assert "Subject: C = AT, O = Example, CN = example.com" in text
    assert "DNS:example.com, DNS:www.example.com, IP Address:198.19.1.2, IP Address:2001:DB8:0:0:0:0:0:1" in text
    assert made.outputs["keyAlgorithm"] == "ECDSA"
    assert made.diff(dnsNames=["example.org"]).replaces == ("dnsNames",)


def test_a_ca_signs_a_client(resources: Resources, ca: Made, key: str, tmp_path: Path) -> None:
    client_key = make(resources["PrivateKey"], algorithm="RSA").outputs["privateKeyPem"]
    request = make(resources["CertRequest"], privateKeyPem=client_key, subject={"commonName": "edge"})
    client = make(
        resources["LocallySignedCert"],
        caCertPem=ca.outputs["certPem"],
        caPrivateKeyPem=key,
        certRequestPem=request.outputs["certRequestPem"],
        validityPeriodHours=12,
        allowedUses=["digital_signature", "client_auth"],
    )
    (tmp_path / "ca.pem").write_text(ca.outputs["certPem"])
    (tmp_path / "client.pem").write_text(client.outputs["certPem"])
    verified = openssl(
        *("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"),
        *(str(tmp_path / "ca.pem"), str(tmp_path / "client.pem")),
        given="",
    )
    assert verified.strip().endswith("OK")
    text = openssl("x509", "-text", "-noout", given=client.outputs["certPem"])
    assert "TLS Web Client Authentication" in text
    assert "CA:FALSE" in text
    assert "Issuer: O = Example, CN = origin pulls" in text
    assert client.outputs["caKeyAlgorithm"] == "ECDSA"


def test_a_ca_looks_like_one(ca: Made) -> None:
    text = openssl("x509", "-text", "-noout", given=ca.outputs["certPem"])
    assert "CA:TRUE" in text
    assert "Certificate Sign, CRL Sign" in text
    assert "X509v3 Subject Key Identifier" in text
    assert ca.id.isdigit()


def test_a_key_that_is_not_the_cas_signs_nothing(resources: Resources, ca: Made, key: str) -> None:
    other = make(resources["PrivateKey"], algorithm="ED25519").outputs["privateKeyPem"]
    request = make(resources["CertRequest"], privateKeyPem=key)
    given = {
        "caCertPem": ca.outputs["certPem"],
        "caPrivateKeyPem": other,
        "certRequestPem": request.outputs["certRequestPem"],
        "validityPeriodHours": 1,
        "allowedUses": [],
    }
    with pytest.raises(ApiError, match="provided PrivateKey doesn't match parent's PublicKey"):
        make(resources["LocallySignedCert"], **given)
    with pytest.raises(ApiError, match="Failed to parse private key PEM"):
        make(resources["LocallySignedCert"], **{**given, "caPrivateKeyPem": "garbage"})
    with pytest.raises(ApiError, match="Failed to parse"):
        make(resources["LocallySignedCert"], **{**given, "caPrivateKeyPem": key, "certRequestPem": "garbage"})


def test_a_ca_needs_a_subject(resources: Resources, key: str) -> None:
    with pytest.raises(ApiError, match="Must contain at least one Distinguished Name"):
        make(
            resources["SelfSignedCert"],
            privateKeyPem=key,
            isCaCertificate=True,
            validityPeriodHours=1,
            allowedUses=[],
        )


def test_a_certificate_is_replaced_when_its_time_has_come(resources: Resources, key: str) -> None:
    given = {"privateKeyPem": key, "allowedUses": ["server_auth"], "subject": {"commonName": "x"}}
    fresh = make(resources["SelfSignedCert"], validityPeriodHours=48, earlyRenewalHours=24, **given)
    assert fresh.diff().changes == ()
    assert fresh.outputs["readyForRenewal"] is False
    assert fresh.diff(earlyRenewalHours=12).replaces == ()
    assert fresh.update(earlyRenewalHours=12)["certPem"] == fresh.outputs["certPem"]
    due = fresh.diff(earlyRenewalHours=49)
    assert due.changes == ("earlyRenewalHours", "readyForRenewal")
    assert due.replaces == ("readyForRenewal",)
    assert (fresh.read() or {})["readyForRenewal"] is False
    assert make(resources["SelfSignedCert"], validityPeriodHours=0, **given).diff().replaces == ("readyForRenewal",)


@pytest.mark.parametrize(
    ("property", "value", "said"),
    [
        ("allowedUses", ["world_domination"], "is no key usage"),
        ("allowedUses", ["decipher_only"], "without key_agreement is not rehearsed"),
        ("validityPeriodHours", -1, "must be at least 0"),
        ("subject", {"commonName": 1}, "must be str"),
        ("subject", {"favouriteColour": "red"}, "is no property of subject"),
        ("ipAddresses", ["198.19.1"], "Failed to parse"),
        ("privateKeyPemWo", "x", "is not rehearsed"),
    ],
)
def test_an_odd_certificate_is_refused(resources: Resources, property: str, value: object, said: str) -> None:
    given = {"privateKeyPem": "x", "validityPeriodHours": 1, "allowedUses": ["server_auth"], property: value}
    assert any(said in reason for reason in refusals(resources["SelfSignedCert"], **given).values())


def test_unknown_values_are_taken_on_trust(resources: Resources) -> None:
    given = {"privateKeyPem": UNKNOWN, "validityPeriodHours": 1, "allowedUses": [UNKNOWN], "dnsNames": UNKNOWN}
    assert not refusals(resources["SelfSignedCert"], **given)


def test_every_usage_is_one(resources: Resources, key: str) -> None:
    uses = [*tls.KEY_USAGES, *tls.EXTENDED_KEY_USAGES]
    made = make(resources["SelfSignedCert"], privateKeyPem=key, validityPeriodHours=1, allowedUses=uses)
    text = openssl("x509", "-text", "-noout", given=made.outputs["certPem"])
    assert "Key Agreement" in text
    assert "OCSP Signing" in text
