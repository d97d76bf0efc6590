"""cloudflare:index:OriginCaCertificate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from rehearsal.cloud import authorities
from rehearsal.providers.account import Stored
from rehearsal.providers.base import Failure, Property, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.shapes import as_list, words

# https://developers.cloudflare.com/ssl/origin-configuration/origin-ca/
MOST_HOSTNAMES: Final = 200
_PATH = "certificates"
_KEYS = {"origin-rsa": rsa.RSAPublicKey, "origin-ecc": ec.EllipticCurvePublicKey}
_HOSTNAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE)


class OriginCaCertificate(Stored):
    """Signed by the world's own Origin CA, which the edge alone trusts. Every change makes another certificate.

    Source: terraform-provider-cloudflare v5, internal/services/origin_ca_certificate/{schema,resource}.go.
    """

    token = "cloudflare:index/originCaCertificate:OriginCaCertificate"
    cloud = "cloudflare"
    collection = "cloudflare/origin_certificates"
    inputs: ClassVar = {
        "csr": Property(required=True, replace=True),
        "hostnames": Property(kind=list, required=True, replace=True),
        "requestType": Property(
            required=True, replace=True, choices=("origin-rsa", "origin-ecc", "keyless-certificate")
        ),
        "requestedValidity": Property(
            kind=float, replace=True, default=5475, choices=(7, 30, 90, 365, 730, 1095, 5475)
        ),
    }
    outputs: ClassVar = {"certificate": Property(), "expiresOn": Property()}

    def _odd(self, news: Props) -> Iterator[Failure]:
        hostnames = news.get("hostnames")
        yield from words("hostnames", hostnames)
        if hostnames == [] or len(as_list(hostnames)) > MOST_HOSTNAMES:
            yield Failure("hostnames", f"must be 1 to {MOST_HOSTNAMES} names")
        for hostname in as_list(hostnames):
            if isinstance(hostname, str) and hostname and not _HOSTNAME.fullmatch(hostname):
                yield Failure("hostnames", f"{hostname!r} is no hostname, nor a wildcard such as *.example.com")
        if news.get("requestType") == "keyless-certificate":
            yield Failure("requestType", "keyless-certificate is not rehearsed")

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        for hostname in inputs["hostnames"]:
            if api.zone_of(self.world, hostname.removeprefix("*.")) is None:
                raise api.refused(
                    "POST",
                    _PATH,
                    1010,
                    f"Failed to validate requested hostname {hostname}: This zone is either not part of your account, "
                    "or you do not have access to it.",
                )
        text = self._signed(inputs)
        certificate = x509.load_pem_x509_certificate(text.encode())
        outputs = {
            **inputs,
            "certificate": text,
            # As Go prints a time, which is what this API answers with.
            "expiresOn": certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        }
        id = str(certificate.serial_number)
        return id, self._keep(id, outputs, (name, inputs))

    def _signed(self, inputs: Props) -> str:
        try:
            key = x509.load_pem_x509_csr(inputs["csr"].encode()).public_key()
            wanted = _KEYS[inputs["requestType"]]
            if not isinstance(key, wanted):
                raise ValueError(f"{inputs['requestType']} needs a key of that kind")
            return authorities.origin(self.world).sign(
                inputs["csr"],
                inputs["hostnames"],
                days=inputs["requestedValidity"],
                common_name="CloudFlare Origin Certificate",
            )
        except ValueError as odd:
            raise api.refused("POST", _PATH, 1100, f"Failed to parse CSR: {odd}") from odd
