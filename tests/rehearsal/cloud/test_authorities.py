"""The stand-in CAs sign as the real ones do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from rehearsal.cloud.authorities import Authority, new_authority

BROKEN = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


def csr(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def verify(authority: Authority, certificate: str, hostname: str) -> None:
    store = Store([x509.load_pem_x509_certificate(authority.certificate.encode())])
    verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(hostname))
    verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])


def test_a_csr_gives_its_key_and_the_request_gives_the_names() -> None:
    authority = new_authority("Test CA")
    key = ec.generate_private_key(ec.SECP256R1())
    text = authority.sign(csr(key, "not.used"), ["example.com", "*.example.com"], days=7, common_name="Origin")
    certificate = x509.load_pem_x509_certificate(text.encode())
    assert certificate.public_key() == key.public_key()
    verify(authority, text, "example.com")
    verify(authority, text, "www.example.com")
    with pytest.raises(VerificationError):
        verify(authority, text, "not.used")
    with pytest.raises(VerificationError):
        verify(new_authority("Test CA"), text, "example.com")
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=6) < left < timedelta(days=7)


@pytest.mark.parametrize("text", ["", "garbage", BROKEN])
def test_what_is_no_csr_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        new_authority("Test CA").sign(text, ["example.com"], days=7, common_name="Origin")


def test_an_expired_certificate_can_be_made() -> None:
    authority = new_authority("Test CA")
    pair = authority.issue(["example.com"], since=datetime.now(UTC) - timedelta(days=3), days=2)
    assert pair.expires < datetime.now(UTC)
    with pytest.raises(VerificationError):
        verify(authority, pair.certificate, "example.com")
