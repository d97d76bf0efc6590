"""The certificate authorities that a rehearsed world trusts, each made once per world.

public       stands in for the web's public CAs: signs what visitors see, and is good at the origin in Full (strict)
origin       Cloudflare's Origin CA: signs the origin's CSR; only the edge trusts it
origin-pull  the CA of the one client certificate that Cloudflare shares among all its customers

The neighbour holds the shared client certificate as well, as anybody with a Cloudflare account does in effect.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal.cloud.world import World

COLLECTION = "authorities"
AUTHORITY_DAYS = 3650
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    private_key: str

    @property
    def expires(self) -> datetime:
        """When the certificate ends, in UTC."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc


@dataclass(frozen=True, kw_only=True)
class Authority(Pair):
    """A CA that can sign."""

    def issue(
        self,
        hostnames: Sequence[str],
        *,
        common_name: str | None = None,
        days: float = 90,
        since: datetime | None = None,
    ) -> Pair:
        """A new P-256 key and a certificate for it. Hostnames may be wildcards or addresses; an empty list makes a
        certificate without names, such as a client's. `since` in the past makes expired ones."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = common_name or (hostnames[0] if hostnames else "client")
        certificate = self._sign(key.public_key(), subject, hostnames, days=days, since=since)
        return Pair(certificate=certificate, private_key=_key_pem(key))

    def sign(self, csr: str, hostnames: Sequence[str], *, days: float, common_name: str) -> str:
        """The certificate for a PEM CSR. Like Cloudflare's Origin CA it takes the public key alone from the CSR; the
        names are the request's own. Raises ValueError when the CSR does not parse or is not signed by its key."""
        request = x509.load_pem_x509_csr(csr.encode())
        if not request.is_signature_valid:
            raise ValueError("the CSR's signature does not match its key")
        public_key = request.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise ValueError("the CSR's key must be RSA or ECDSA")
        return self._sign(public_key, common_name, hostnames, days=days)

    def _sign(
        self,
        public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        common_name: str,
        hostnames: Sequence[str],
        *,
        days: float,
        since: datetime | None = None,
    ) -> str:
        authority = x509.load_pem_x509_certificate(self.certificate.encode())
        signing_key = serialization.load_pem_private_key(self.private_key.encode(), None)
        assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
        start = since or datetime.now(UTC) - CLOCK_SKEW
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(authority.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(leaf=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        )
        if hostnames:
            names = [_general_name(hostname) for hostname in hostnames]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pem(builder.sign(signing_key, hashes.SHA256()))


def new_authority(common_name: str, *, organization: str = "flask-origin rehearsal") -> Authority:
    """A self-signed P-256 root that belongs to no world yet; tests make wrong CAs with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - CLOCK_SKEW
    name = _name(common_name, organization)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(leaf=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate=_pem(certificate), private_key=_key_pem(key))


def public(world: World) -> Authority:
    """The CA that visitors' programs trust; hand `public_file` to curl."""
    return _authority(world, "public", "Rehearsal Public Root")


def origin(world: World) -> Authority:
    """Cloudflare's Origin CA."""
    return _authority(world, "origin", "Rehearsal Cloudflare Origin CA")


def origin_pull(world: World) -> Authority:
    """The CA of the shared client certificate, which an origin may download and (unwisely) trust."""
    return _authority(world, "origin-pull", "Rehearsal origin-pull.cloudflare.net CA")


def shared_client(world: World) -> Pair:
    """The client certificate that the edge presents for every zone that has none of its own."""
    return _kept(world, "origin-pull-client", lambda: origin_pull(world).issue([], common_name="Cloudflare", days=3650))


def visitor_certificate(world: World, zone_id: str, zone: str) -> Pair:
    """What visitors of a zone see: for the zone and one level below it, renewed a month before it ends."""
    id = f"visitor-{zone_id}"
    kept = world.store.get(COLLECTION, id)
    if kept and Pair(**kept).expires < datetime.now(UTC) + timedelta(days=30):
        world.store.delete(COLLECTION, id)
    return _kept(world, id, lambda: public(world).issue([zone, f"*.{zone}"]))


def public_file(world: World) -> Path:
    """The public CA's certificate as a file, for `curl --cacert`."""
    path = world.root / "public-ca.pem"
    text = public(world).certificate
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def _authority(world: World, id: str, common_name: str) -> Authority:
    pair = _kept(world, id, lambda: new_authority(common_name))
    return Authority(certificate=pair.certificate, private_key=pair.private_key)


def _kept(world: World, id: str, make: Callable[[], Pair]) -> Pair:
    # A lock for each: making one may need another one made first.
    with world.lock(f"authority-{id}"):
        kept = world.store.get(COLLECTION, id)
        if kept is None:
            pair = make()
            kept = {"certificate": pair.certificate, "private_key": pair.private_key}
            world.store.put(COLLECTION, id, kept)
    return Pair(**kept)


def _name(common_name: str, organization: str = "flask-origin rehearsal") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def _general_name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=leaf,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
