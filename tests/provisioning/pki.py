"""Certificates to try the origin with, made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: str
    key: str

    @classmethod
    def authority(cls, name: str) -> Self:
        return cls._make(name, (), None, authority=True, days=30)

    def issue(self, name: str, *hostnames: str, days: int = 30) -> Self:
        """A leaf of this authority; `days` below zero make one that has expired."""
        return self._make(name, hostnames, self, authority=False, days=days)

    @classmethod
    def _make(cls, name: str, hostnames: tuple[str, ...], issuer: Self | None, *, authority: bool, days: int) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hostnames:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(hostname) for hostname in hostnames]), critical=False
            )
        if issuer:
            parent = x509.load_pem_x509_certificate(issuer.certificate.encode())
            signer = serialization.load_pem_private_key(issuer.key.encode(), None)
            assert isinstance(signer, ec.EllipticCurvePrivateKey)
            certificate = builder.issuer_name(parent.subject).sign(signer, hashes.SHA256())
        else:
            certificate = builder.issuer_name(subject).sign(key, hashes.SHA256())
        return cls(
            certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        )
