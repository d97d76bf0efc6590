"""The certificate that the origin shows to Cloudflare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pulumi
import pulumi_tls as tls

from components.sdk import OriginCaCertificate

RENEWAL_NOTICE = timedelta(days=30)


def expiry(text: str) -> datetime:
    """When a certificate ends, from either form that Cloudflare's API has answered with.

    "2041-11-17 12:00:00 +0000 UTC" (as Go prints a time) or RFC 3339. Raises ValueError for anything else.
    """
    trimmed = text.removesuffix(" UTC")
    for form in ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            return datetime.strptime(trimmed, form)
        except ValueError:
            continue
    raise ValueError(f"not a time that Cloudflare's Origin CA is known to write: {text!r}")


def warning(text: str, now: datetime) -> str | None:
    """What to tell the operator about a certificate that ends at `text`, or None while there is time."""
    left = expiry(text) - now
    if left > RENEWAL_NOTICE:
        return None
    state = "has expired" if left < timedelta(0) else f"expires in {left.days} days"
    return f"the origin certificate {state} ({text}); renew it with `pulumi up --target-replace` on its URN"


@dataclass(frozen=True, kw_only=True)
class OriginCertificateArgs:
    """`days` is one of the validities that Cloudflare issues: 7, 30, 90, 365, 730, 1095 or 5475."""

    hostnames: Sequence[str]
    days: int = 5475


class OriginCertificate(pulumi.ComponentResource):
    """Key and request made here, certificate from Cloudflare's Origin CA.

    Only Cloudflare trusts that CA, which is all it needs to: nobody else may connect.
    https://developers.cloudflare.com/ssl/origin-configuration/origin-ca/
    """

    def __init__(self, name: str, args: OriginCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:origin_certificate:OriginCertificate", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=inside)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            dns_names=list(args.hostnames),
            subject=tls.CertRequestSubjectArgs(common_name=args.hostnames[0]),
            opts=inside,
        )
        certificate = OriginCaCertificate(
            name,
            csr=request.cert_request_pem,
            hostnames=list(args.hostnames),
            request_type="origin-ecc",
            requested_validity=args.days,
            opts=inside,
        )
        self.certificate: pulumi.Output[str] = certificate.certificate
        self.private_key: pulumi.Output[str] = key.private_key_pem
        self.expires_on: pulumi.Output[str] = certificate.expires_on
        self.expires_on.apply(self._warn)
        self.register_outputs({"expires_on": self.expires_on})

    def _warn(self, text: str) -> None:
        message = warning(text, datetime.now(UTC))
        if message:
            pulumi.log.warn(message, self)
