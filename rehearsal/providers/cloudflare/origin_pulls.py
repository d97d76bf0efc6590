"""cloudflare:index:AuthenticatedOriginPullsCertificate and AuthenticatedOriginPullsSettings: the zone's own ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from rehearsal.providers.account import Stored
from rehearsal.providers.base import ApiError, Diff, Property, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.shapes import now
from rehearsal.providers.tls import loaded_key

_PATH = "origin_tls_client_auth"


class AuthenticatedOriginPullsCertificate(Stored):
    """What the edge shows to the zone's origins. Changing it is uploading another one.

    Source: terraform-provider-cloudflare v5, internal/services/authenticated_origin_pulls_certificate/.
    """

    token = "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate"
    cloud = "cloudflare"
    collection = "cloudflare/origin_pull_certificates"
    unread = ("privateKey",)
    inputs: ClassVar = {
        "zoneId": Property(required=True, replace=True),
        "certificate": Property(required=True, replace=True),
        # The provider ignores a change of the key alone; nothing could use the pair, so it is refused in `update`.
        "privateKey": Property(required=True, secret=True),
    }
    outputs: ClassVar = {
        "certificateId": Property(),
        "enabled": Property(kind=bool),
        "expiresOn": Property(),
        "issuer": Property(),
        "serialNumber": Property(),
        "signature": Property(),
        "status": Property(),
        "uploadedOn": Property(),
    }

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        # White space at the end of a certificate is no change of it.
        old, new = ({**inputs, "certificate": _trimmed(inputs)} for inputs in (old_inputs, news))
        return super().diff(id, old, old_outputs, new)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        zone_id = inputs["zoneId"]
        api.zone_name(self.world, zone_id, "POST", _PATH)
        leaf = _checked(zone_id, inputs["certificate"], inputs["privateKey"])
        id, time = api.identifier(), now()
        outputs = {
            **inputs,
            "certificateId": id,
            "enabled": False,
            "expiresOn": leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "issuer": leaf.issuer.rfc4514_string(),
            "serialNumber": str(leaf.serial_number),
            "signature": leaf.signature_hash_algorithm.name.upper() if leaf.signature_hash_algorithm else "",
            "status": "active",
            "uploadedOn": time,
        }
        facts = {
            "zone_id": zone_id,
            "certificate": inputs["certificate"],
            "private_key": inputs["privateKey"],
            "status": "active",
            # To the microsecond: the edge takes the newest.
            "uploaded_on": datetime.now(UTC).isoformat(),
        }
        done = self._keep(id, outputs, (name, inputs), **facts)
        api.publish(self.world)
        return id, done

    def identity(self, import_id: str) -> str:
        return import_id.rpartition("/")[2]  # of <zone id>/<certificate id>

    def read(self, id: str, outputs: Props) -> Props | None:
        return super().read(self.identity(id), outputs)

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        raise ApiError("a private key alone can't be changed: upload it with its certificate")

    def _delete(self, id: str) -> None:
        super()._delete(id)
        api.publish(self.world)


class AuthenticatedOriginPullsSettings(Stored):
    """The zone's switch: creating sets it, deleting leaves it as it is.

    Source: terraform-provider-cloudflare v5, internal/services/authenticated_origin_pulls_settings/.
    """

    token = "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings"
    cloud = "cloudflare"
    collection = "cloudflare/origin_pulls"
    inputs: ClassVar = {
        "zoneId": Property(required=True, replace=True),
        "enabled": Property(kind=bool, required=True),
    }
    outputs: ClassVar = {}

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        zone_id = inputs["zoneId"]
        api.zone_name(self.world, zone_id, "PUT", f"{_PATH}/settings")
        done = self._keep(zone_id, inputs, enabled=inputs["enabled"])
        api.publish(self.world)
        return zone_id, done

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return self._create("", inputs)[1]

    def delete(self, id: str, outputs: Props) -> None:
        """Nothing: the zone keeps the switch as it is."""

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None  # setting it once more is the same


def _checked(zone_id: str, certificate: str, private_key: str) -> x509.Certificate:
    """The leaf. Raises ApiError as the API does for a pair that it can't use."""
    path = f"zones/{zone_id}/{_PATH}"  # the API's own codes for these refusals are not documented
    try:
        leaf = x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError as odd:
        raise api.refused("POST", path, 1400, "The certificate could not be parsed") from odd
    try:
        key = loaded_key(private_key)
    except ApiError as odd:
        raise api.refused("POST", path, 1401, "The private key could not be parsed") from odd
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise api.refused("POST", path, 1402, "The private key must be RSA or ECDSA")
    if key.public_key() != leaf.public_key():
        raise api.refused("POST", path, 1406, "The private key does not match the certificate")
    if leaf.not_valid_after_utc < datetime.now(UTC):
        raise api.refused("POST", path, 1412, "The certificate has expired")
    return leaf


def _trimmed(inputs: Props) -> object:
    certificate = inputs.get("certificate")
    return certificate.rstrip("\n") if isinstance(certificate, str) else certificate
