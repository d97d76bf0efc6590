"""pulumi-tls: keys, requests and certificates, made here and kept nowhere but in the program's state.

Source: terraform-provider-tls, internal/provider/{resource_*,common_cert,common_key}.go.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Failure, Property, Props, Resource
from rehearsal.providers.shapes import as_list, nested, not_rehearsed, words

PrivateKeyTypes = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
# In the order in which Go writes them (crypto/x509/pkix, Name.ToRDNSequence).
SUBJECT_OIDS: Final = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
SUBJECT: Final = {name: Property(kind=list if name.endswith("es") else str) for name in SUBJECT_OIDS}
KEY_USAGES: Final = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
EXTENDED_KEY_USAGES: Final = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
# Write-only arguments keep a key out of the state; the others are two more forms of a subject's name.
_WRITE_ONLY: Final = ("privateKeyPemWo", "privateKeyPemWoVersion", "caPrivateKeyPemWo", "caPrivateKeyPemWoVersion")


class _Made(Resource):
    """Something computed: there is nothing to read, delete or adopt."""

    def read(self, id: str, outputs: Props) -> Props | None:
        if not outputs:
            raise ApiError(f"{self.token} can't be imported")
        return outputs

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return {**old_outputs, **inputs}

    def delete(self, id: str, outputs: Props) -> None:
        pass

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None


class PrivateKey(_Made):
    token = "tls:index/privateKey:PrivateKey"
    inputs: ClassVar = {
        "algorithm": Property(required=True, replace=True, choices=("RSA", "ECDSA", "ED25519")),
        "rsaBits": Property(kind=int, replace=True, default=2048),
        "ecdsaCurve": Property(replace=True, default="P224", choices=tuple(CURVES)),
    }
    outputs: ClassVar = {
        "privateKeyPem": Property(secret=True),
        "privateKeyPemPkcs8": Property(secret=True),
        "privateKeyOpenssh": Property(secret=True),
        "publicKeyPem": Property(),
        "publicKeyOpenssh": Property(),
        "publicKeyFingerprintMd5": Property(),
        "publicKeyFingerprintSha256": Property(),
    }

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        bits = checked.get("rsaBits")
        if isinstance(bits, int) and not 1024 <= bits <= 16384:
            failures.append(
                Failure("rsaBits", f"{bits}-bit keys are insecure or too large: 2048, 3072 or 4096 are usual")
            )
        return checked, failures

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        key = _generated(inputs)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        # RSA and EC keys in their old formats, as Go's x509 writes them; Ed25519 has none.
        old = PrivateFormat.PKCS8 if inputs["algorithm"] == "ED25519" else PrivateFormat.TraditionalOpenSSL
        outputs = {
            "privateKeyPem": _private(key, old),
            "privateKeyPemPkcs8": _private(key, PrivateFormat.PKCS8),
            "publicKeyPem": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            **_openssh(key),
        }
        return hashlib.sha1(public).hexdigest(), {**inputs, **outputs}


class CertRequest(_Made):
    token = "tls:index/certRequest:CertRequest"
    inputs: ClassVar = {
        "privateKeyPem": Property(required=True, replace=True, secret=True),
        "privateKeyPemWo": Property(replace=True, secret=True),
        "privateKeyPemWoVersion": Property(kind=int, replace=True),
        "subject": Property(kind=dict, replace=True),
        "dnsNames": Property(kind=list, replace=True),
        "ipAddresses": Property(kind=list, replace=True),
        "uris": Property(kind=list, replace=True),
    }
    outputs: ClassVar = {"certRequestPem": Property(), "keyAlgorithm": Property()}

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        return checked, [*failures, *_odd_names(checked), *not_rehearsed(checked, _WRITE_ONLY)]

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        key = loaded_key(inputs["privateKeyPem"])
        builder = x509.CertificateSigningRequestBuilder().subject_name(_name(inputs.get("subject")))
        if names := _alternative_names(inputs):
            builder = builder.add_extension(names, critical=False)
        request = builder.sign(key, _digest(key))
        return (
            hashlib.sha1(request.public_bytes(Encoding.DER)).hexdigest(),
            {
                **inputs,
                "certRequestPem": request.public_bytes(Encoding.PEM).decode(),
                "keyAlgorithm": _algorithm(key),
            },
        )


class _Certificate(_Made):
    """Replaced by any change but that of `earlyRenewalHours`, and when its time has come."""

    inputs: ClassVar = {
        "allowedUses": Property(kind=list, required=True, replace=True),
        "validityPeriodHours": Property(kind=int, required=True, replace=True),
        "earlyRenewalHours": Property(kind=int, default=0),
        "isCaCertificate": Property(kind=bool, replace=True, default=False),
        "maxPathLength": Property(kind=int, replace=True),
        "setSubjectKeyId": Property(kind=bool, replace=True, default=False),
    }
    outputs: ClassVar = {
        "certPem": Property(),
        "readyForRenewal": Property(kind=bool),
        "validityStartTime": Property(),
        "validityEndTime": Property(),
    }

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        for name in ("validityPeriodHours", "earlyRenewalHours"):
            if isinstance(checked.get(name), int) and checked[name] < 0:
                failures.append(Failure(name, f"must be at least 0, not {checked[name]}"))
        for use in as_list(checked.get("allowedUses")):
            if use is not UNKNOWN and use not in KEY_USAGES and use not in EXTENDED_KEY_USAGES:
                known = ", ".join([*KEY_USAGES, *EXTENDED_KEY_USAGES])
                failures.append(Failure("allowedUses", f"{use!r} is no key usage; known ones: {known}"))
        only = {"encipher_only", "decipher_only"} & set(map(str, as_list(checked.get("allowedUses"))))
        if only and "key_agreement" not in checked["allowedUses"]:
            failures.append(Failure("allowedUses", f"{', '.join(only)} without key_agreement is not rehearsed"))
        return checked, [*failures, *_odd_names(checked), *not_rehearsed(checked, _WRITE_ONLY)]

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        if not _due(old_outputs, news):
            return found
        return Diff((*found.changes, "readyForRenewal"), (*found.replaces, "readyForRenewal"))

    def read(self, id: str, outputs: Props) -> Props | None:
        found = super().read(id, outputs)
        return found and {**found, "readyForRenewal": _due(found, found)}

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        start = datetime.now(UTC)
        end = start + timedelta(hours=inputs["validityPeriodHours"])
        serial = secrets.randbits(127) + 1
        builder = (
            x509.CertificateBuilder()
            .serial_number(serial)
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(_basic_constraints(inputs), critical=True)
        )
        for extension, critical in _usages(inputs["allowedUses"]):
            builder = builder.add_extension(extension, critical=critical)
        certificate, outputs = self._issue(inputs, builder)
        times = {"validityStartTime": start, "validityEndTime": end}
        return str(serial), {
            **inputs,
            **outputs,
            "certPem": certificate.public_bytes(Encoding.PEM).decode(),
            "readyForRenewal": False,
            **{field: time.isoformat().replace("+00:00", "Z") for field, time in times.items()},
        }

    @abstractmethod
    def _issue(self, inputs: Props, builder: x509.CertificateBuilder) -> tuple[x509.Certificate, Props]:
        """The certificate, and outputs of its kind."""


class SelfSignedCert(_Certificate):
    token = "tls:index/selfSignedCert:SelfSignedCert"
    inputs: ClassVar = {
        **CertRequest.inputs,
        **_Certificate.inputs,
        "setAuthorityKeyId": Property(kind=bool, replace=True, default=False),
    }
    outputs: ClassVar = {**_Certificate.outputs, "keyAlgorithm": Property()}

    def _issue(self, inputs: Props, builder: x509.CertificateBuilder) -> tuple[x509.Certificate, Props]:
        key, subject = loaded_key(inputs["privateKeyPem"]), _name(inputs.get("subject"))
        if inputs["isCaCertificate"] and not list(subject):
            raise ApiError("Must contain at least one Distinguished Name when creating Certificate Authority (CA)")
        builder = builder.subject_name(subject).issuer_name(subject).public_key(key.public_key())
        if names := _alternative_names(inputs):
            builder = builder.add_extension(names, critical=not list(subject))
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        if inputs["isCaCertificate"] or inputs["setSubjectKeyId"]:
            builder = builder.add_extension(identifier, critical=False)
        elif inputs["setAuthorityKeyId"]:
            raise ApiError("Could not determine Authority Key Identifier")
        if inputs["setAuthorityKeyId"]:
            authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
            builder = builder.add_extension(authority, critical=False)
        return builder.sign(key, _digest(key)), {"keyAlgorithm": _algorithm(key)}


class LocallySignedCert(_Certificate):
    token = "tls:index/locallySignedCert:LocallySignedCert"
    inputs: ClassVar = {
        **_Certificate.inputs,
        "caCertPem": Property(required=True, replace=True),
        "caPrivateKeyPem": Property(required=True, replace=True, secret=True),
        "caPrivateKeyPemWo": Property(replace=True, secret=True),
        "caPrivateKeyPemWoVersion": Property(kind=int, replace=True),
        "certRequestPem": Property(required=True, replace=True),
    }
    outputs: ClassVar = {**_Certificate.outputs, "caKeyAlgorithm": Property()}

    def _issue(self, inputs: Props, builder: x509.CertificateBuilder) -> tuple[x509.Certificate, Props]:
        ca_key = loaded_key(inputs["caPrivateKeyPem"])
        try:
            ca = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError as error:
            raise ApiError(f"Failed to parse the CA certificate or the certificate request: {error}") from error
        if ca.public_key() != ca_key.public_key():
            raise ApiError("x509: provided PrivateKey doesn't match parent's PublicKey")
        builder = builder.subject_name(request.subject).issuer_name(ca.subject).public_key(request.public_key())
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=not list(request.subject))
        if inputs["isCaCertificate"] or inputs["setSubjectKeyId"]:
            identifier = x509.SubjectKeyIdentifier.from_public_key(request.public_key())
            builder = builder.add_extension(identifier, critical=False)
        try:
            issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            pass
        else:
            authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)
            builder = builder.add_extension(authority, critical=False)
        return builder.sign(ca_key, _digest(ca_key)), {"caKeyAlgorithm": _algorithm(ca_key)}


def loaded_key(pem: str) -> PrivateKeyTypes:
    """A private key from PEM text. Raises ApiError."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ApiError("Failed to parse private key PEM: failed to decode PEM block") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ApiError(f"unsupported private key type: {type(key).__name__}")
    return key


def _generated(inputs: Props) -> PrivateKeyTypes:
    match inputs["algorithm"]:
        case "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=inputs["rsaBits"])
        case "ECDSA":
            return ec.generate_private_key(CURVES[inputs["ecdsaCurve"]]())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def _private(key: PrivateKeyTypes, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _openssh(key: PrivateKeyTypes) -> Props:
    """OpenSSH knows no P224: its forms are empty for it."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        private = line = md5 = sha256 = ""
    else:
        private = _private(key, PrivateFormat.OpenSSH)
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"
        blob = base64.b64decode(line.split()[1])
        md5 = hashlib.md5(blob).hexdigest()
        md5 = ":".join(md5[i : i + 2] for i in range(0, 32, 2))
        sha256 = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {
        "privateKeyOpenssh": private,
        "publicKeyOpenssh": line,
        "publicKeyFingerprintMd5": md5,
        "publicKeyFingerprintSha256": sha256,
    }


def _algorithm(key: PrivateKeyTypes) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def _digest(key: PrivateKeyTypes) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """What Go's x509 signs with for this key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        by_size = {384: hashes.SHA384(), 521: hashes.SHA512()}
        return by_size.get(key.curve.key_size, hashes.SHA256())
    return hashes.SHA256()


def _odd_names(news: Props) -> Iterator[Failure]:
    yield from nested("subject", news.get("subject"), SUBJECT)
    for name in ("dnsNames", "ipAddresses", "uris", "allowedUses"):
        yield from words(name, news.get(name))
    for address in as_list(news.get("ipAddresses")):
        if isinstance(address, str):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield Failure("ipAddresses", f"Failed to parse {address!r}")


def _name(subject: Any) -> x509.Name:
    attributes = []
    for field, oid in SUBJECT_OIDS.items():
        values = (subject or {}).get(field)
        for value in values if isinstance(values, list) else [values]:
            if value:
                attributes.append(x509.NameAttribute(oid, value))
    return x509.Name(attributes)


def _alternative_names(inputs: Props) -> x509.SubjectAlternativeName | None:
    names: list[x509.GeneralName] = [
        *(x509.DNSName(name) for name in inputs.get("dnsNames") or ()),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in inputs.get("ipAddresses") or ()),
        *(x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or ()),
    ]
    return x509.SubjectAlternativeName(names) if names else None


def _basic_constraints(inputs: Props) -> x509.BasicConstraints:
    # A length of 0 is written only with Go's MaxPathLenZero, which the provider does not set.
    length = inputs.get("maxPathLength") if inputs["isCaCertificate"] else None
    return x509.BasicConstraints(ca=inputs["isCaCertificate"], path_length=length if length and length > 0 else None)


def _usages(uses: list[str]) -> Iterator[tuple[x509.ExtensionType, bool]]:
    named = {KEY_USAGES[use] for use in uses if use in KEY_USAGES}
    if named:
        # "Only" says something about a key agreement; X.509 has no meaning for it without one.
        flags = {flag: flag in named for flag in KEY_USAGES.values()}
        yield x509.KeyUsage(**flags), True
    extended = [EXTENDED_KEY_USAGES[use] for use in uses if use in EXTENDED_KEY_USAGES]
    if extended:
        yield x509.ExtendedKeyUsage(extended), False


def _due(outputs: Props, inputs: Props) -> bool:
    """Whether the certificate has ended or its early renewal has begun."""
    end, early = outputs.get("validityEndTime"), inputs.get("earlyRenewalHours", 0)
    if not isinstance(end, str) or not isinstance(early, int):
        return False
    return datetime.now(UTC) >= datetime.fromisoformat(end) - timedelta(hours=early)
