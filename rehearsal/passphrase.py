"""Pulumi's passphrase scheme for the secrets in a stack file.

AES-256-GCM, key by PBKDF2-SHA256 with 1,000,000 rounds.
https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/config/crypt.go
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(ValueError):
    """A salt, a passphrase or a ciphertext that does not fit; the text says which."""


class Passphrase:
    """A passphrase with the `encryptionsalt` of a stack file, which holds a word to try the passphrase on."""

    def __init__(self, passphrase: str, encryption_salt: str) -> None:
        """Raises Refused. Takes half a second, on purpose."""
        if not encryption_salt.startswith("v1:") or encryption_salt.count(":") < 2:
            raise Refused("encryptionsalt is not of the form that is known here, v1:…")
        _, salt, check = encryption_salt.split(":", 2)
        key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), base64.b64decode(salt), 1_000_000, 32)
        self._cipher = AESGCM(key)
        self.open(check)

    def open(self, sealed: str) -> str:
        """The text of a `secure:` value. Raises Refused."""
        try:
            _, nonce, ciphertext = sealed.split(":")
            return self._cipher.decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None).decode()
        except InvalidTag:
            raise Refused("PULUMI_CONFIG_PASSPHRASE is not this stack's passphrase") from None
        except ValueError:
            raise Refused("a `secure:` value is not as Pulumi writes them; set it again") from None

    def seal(self, text: str) -> str:
        """A `secure:` value of the text."""
        nonce = os.urandom(12)
        parts = (nonce, self._cipher.encrypt(nonce, text.encode(), None))
        return ":".join(["v1", *(base64.b64encode(part).decode() for part in parts)])
