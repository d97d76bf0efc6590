"""aws:ec2:KeyPair."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import ClassVar, Final

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from rehearsal.providers.account import Stored
from rehearsal.providers.aws import catalog
from rehearsal.providers.base import ApiError, Diff, Failure, Property, Props
from rehearsal.providers.shapes import physical_name, trimmed

COLLECTION: Final = "aws/key_pairs"


class KeyPair(Stored):
    """Source: terraform-provider-aws v6, internal/service/ec2/ec2_key_pair.go."""

    token = "aws:ec2/keyPair:KeyPair"
    cloud = "aws"
    collection = COLLECTION
    refused = ("keyNamePrefix",)
    inputs: ClassVar = {
        "publicKey": Property(required=True, replace=True),
        "keyName": Property(replace=True),
        "keyNamePrefix": Property(replace=True),
        "region": Property(replace=True, computed=True),
        "tags": Property(kind=dict),
    }
    outputs: ClassVar = {
        "arn": Property(),
        "fingerprint": Property(),
        "keyPairId": Property(),
        "keyType": Property(),
        "tagsAll": Property(kind=dict),
    }

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        # White space around a key is no change of it.
        old, new = (trimmed(inputs, "publicKey") for inputs in (old_inputs, news))
        return super().diff(id, old, old_outputs, new)

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from catalog.odd_region(news)
        yield from catalog.odd_tags(news, "tags")
        name = news.get("keyName")
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html
        if isinstance(name, str) and (not 0 < len(name) <= 255 or not name.isascii() or name != name.strip()):
            yield Failure("keyName", f"must be 1 to 255 ASCII characters, no space first or last: {name!r}")

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        kind, fingerprint = _described(inputs["publicKey"])
        id, region = inputs.get("keyName") or physical_name(name), catalog.region(inputs)
        if self.world.store.get(COLLECTION, id) is not None:
            raise ApiError(f"importing EC2 Key Pair ({id}): InvalidKeyPair.Duplicate: The keypair already exists")
        outputs = {
            **trimmed(inputs, "publicKey"),
            "region": region,
            "keyName": id,
            "arn": catalog.arn("ec2", region, f"key-pair/{id}"),
            "fingerprint": fingerprint,
            "keyPairId": catalog.identifier("key", self.world.tag, id),
            "keyType": kind,
            "tagsAll": inputs.get("tags") or {},
        }
        return id, self._keep(id, outputs, (name, inputs), public_key=inputs["publicKey"].strip(), region=region)

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        tags = inputs.get("tags") or {}
        return self._keep(id, {**old_outputs, "tags": tags, "tagsAll": tags})


def _described(public_key: str) -> tuple[str, str]:
    """Type and fingerprint as EC2 gives them. It takes RSA and Ed25519 only."""
    try:
        key = load_ssh_public_key(public_key.strip().encode())
    except Exception:  # cryptography raises several kinds for garbage
        key = None
    if isinstance(key, ed25519.Ed25519PublicKey):
        digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
        return "ed25519", base64.b64encode(digest).decode()
    if isinstance(key, rsa.RSAPublicKey):
        digest = hashlib.md5(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        return "rsa", ":".join(digest[i : i + 2] for i in range(0, 32, 2))
    raise ApiError("importing EC2 Key Pair: InvalidKey.Format: Key is not in valid OpenSSH public key format")
