"""digitalocean:index:SshKey."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import ClassVar

from rehearsal.cloud.world import World
from rehearsal.providers.account import Stored
from rehearsal.providers.base import ApiError, Diff, Property, Props
from rehearsal.providers.shapes import physical_name, trimmed

COLLECTION = "digitalocean/ssh_keys"
_TYPES = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


class SshKey(Stored):
    """Source: terraform-provider-digitalocean, digitalocean/sshkey/resource_ssh_key.go."""

    token = "digitalocean:index/sshKey:SshKey"
    cloud = "digitalocean"
    collection = COLLECTION
    inputs: ClassVar = {"name": Property(), "publicKey": Property(required=True, replace=True)}
    outputs: ClassVar = {"fingerprint": Property()}

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        # White space around a key is no change of it.
        old, new = (trimmed(inputs, "publicKey") for inputs in (old_inputs, news))
        return super().diff(id, old, old_outputs, new)

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        fingerprint = _fingerprint(inputs["publicKey"])
        for key in self.world.store.items(COLLECTION).values():
            if key["fingerprint"] == fingerprint:
                raise ApiError("Error creating SSH Key: 422 SSH Key is already in use on your account")
        id = str(45_000_000 + self.world.store.serial("digitalocean/ids"))
        outputs = {"name": physical_name(name), **inputs, "fingerprint": fingerprint}
        facts = {"fingerprint": fingerprint, "public_key": inputs["publicKey"].strip()}
        return id, self._keep(id, outputs, (name, inputs), **facts)

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return self._keep(id, {**old_outputs, **inputs})


def public_keys(world: World, identifiers: list[str]) -> list[str]:
    """The public keys with these ids or fingerprints. Raises ApiError for an unknown one."""
    known = world.store.items(COLLECTION)
    by_identifier = known | {key["fingerprint"]: key for key in known.values()}
    if missing := [identifier for identifier in identifiers if identifier not in by_identifier]:
        raise ApiError(f"422 {', '.join(missing)} are invalid key identifiers for Droplet creation.")
    return [by_identifier[identifier]["public_key"] for identifier in identifiers]


def _fingerprint(public_key: str) -> str:
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
        # The blob names its own type first, after that name's length in four bytes.
        named = blob[4 : 4 + int.from_bytes(blob[:4])].decode()
    except (IndexError, ValueError, binascii.Error):
        blob, named = b"", ""
    if len(public_key.strip().splitlines()) != 1 or named not in _TYPES or parts[0] != named:
        raise ApiError(
            "Error creating SSH Key: 422 Key invalid, key should be of the following types: " + ", ".join(_TYPES)
        )
    digest = hashlib.md5(blob).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))
