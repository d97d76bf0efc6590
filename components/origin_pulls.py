"""Authenticated origin pulls with the zone's own client certificate."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from components.sdk import AuthenticatedOriginPullsCertificate, AuthenticatedOriginPullsSettings

_HOURS = 24 * 365 * 10


@dataclass(frozen=True, kw_only=True)
class OriginPullsArgs:
    """The zone (its id) whose requests to origins carry the certificate."""

    zone_id: str
    hostname: str
    """Named in the certificates' subjects, for whoever reads a log."""


class OriginPulls(pulumi.ComponentResource):
    """A CA of our own, a client pair signed by it, uploaded to the zone and switched on.

    Cloudflare's shared global certificate would prove only "some Cloudflare customer".
    https://developers.cloudflare.com/ssl/origin-configuration/authenticated-origin-pull/set-up/zone-level/

    The origin must demand the certificate only after `enabled`: whoever configures it depends on that. The switch is
    thrown after `before`, which remembers how it stood.
    """

    def __init__(
        self,
        name: str,
        args: OriginPullsArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        before: pulumi.Resource,
    ) -> None:
        super().__init__("flask-origin:origin_pulls:OriginPulls", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        ca_key = tls.PrivateKey(f"{name}-ca-key", algorithm="ECDSA", ecdsa_curve="P256", opts=inside)
        ca = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=ca_key.private_key_pem,
            is_ca_certificate=True,
            validity_period_hours=_HOURS,
            allowed_uses=["cert_signing", "crl_signing"],
            subject=tls.SelfSignedCertSubjectArgs(common_name=f"{args.hostname} origin pulls"),
            opts=inside,
        )
        # RSA, as in Cloudflare's own instructions for client certificates of a zone.
        key = tls.PrivateKey(f"{name}-key", algorithm="RSA", rsa_bits=2048, opts=inside)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=f"Cloudflare for {args.hostname}"),
            opts=inside,
        )
        client = tls.LocallySignedCert(
            f"{name}-client",
            ca_cert_pem=ca.cert_pem,
            ca_private_key_pem=ca_key.private_key_pem,
            cert_request_pem=request.cert_request_pem,
            validity_period_hours=_HOURS,
            allowed_uses=["digital_signature", "client_auth"],
            opts=inside,
        )
        uploaded = AuthenticatedOriginPullsCertificate(
            name,
            zone_id=args.zone_id,
            certificate=client.cert_pem,
            private_key=key.private_key_pem,
            opts=inside,
        )
        self.enabled: pulumi.Resource = AuthenticatedOriginPullsSettings(
            f"{name}-enabled",
            zone_id=args.zone_id,
            enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[before, uploaded]),
        )
        self.ca: pulumi.Output[str] = ca.cert_pem
        self.client_certificate: pulumi.Output[str] = client.cert_pem
        self.client_key: pulumi.Output[str] = key.private_key_pem
        self.register_outputs({"ca": self.ca})
