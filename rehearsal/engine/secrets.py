"""Secrets at rest and on their way to people's eyes."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from .values import Secret, plain

PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"
_SHORTEST_REDACTED = 4  # characters; shorter ones would garble every message


class StateLocked(Exception):
    """The state's secrets can't be opened, or somebody else works on the state."""


class Sealer:
    """AES-256-GCM under a key from a file beside the state, or from a passphrase in the environment.

    Which of the two it is, is decided when the state is made and written into it as `terms`.
    """

    def __init__(self, key: bytes, terms: dict[str, str]) -> None:
        self._cipher = AESGCM(key)
        self.terms = terms

    @classmethod
    def new(cls, key_file: Path) -> Sealer:
        if passphrase := os.environ.get(PASSPHRASE):
            salt = os.urandom(16)
            return cls(_stretched(passphrase, salt), {"passphraseSalt": base64.b64encode(salt).decode()})
        if not key_file.exists():
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(32)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return cls.of(key_file, {})

    @classmethod
    def of(cls, key_file: Path, terms: dict[str, str]) -> Sealer:
        """For a state that exists. Raises StateLocked."""
        if salt := terms.get("passphraseSalt"):
            if not (passphrase := os.environ.get(PASSPHRASE)):
                raise StateLocked(f"the state was sealed with a passphrase: set {PASSPHRASE} to it")
            return cls(_stretched(passphrase, base64.b64decode(salt)), terms)
        try:
            return cls(base64.b64decode(key_file.read_bytes()), terms)
        except (OSError, ValueError) as error:
            raise StateLocked(f"the key to the state's secrets, {key_file}, can't be used: {error}") from error

    def seal(self, text: str) -> str:
        nonce = os.urandom(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """Raises StateLocked."""
        data = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(data[:12], data[12:], None).decode()
        except InvalidTag as error:
            raise StateLocked("the state's secrets were sealed with another key or passphrase") from error


class Redactor:
    """Knows the secrets of a run and takes them out of messages."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, value: Any, *, secret: bool = False) -> None:
        """Takes in every secret string within `value`; all of its strings when it is `secret` as a whole."""
        if isinstance(value, Secret):
            self.learn(plain(value), secret=True)
        elif isinstance(value, dict | list):
            named = value.items() if isinstance(value, dict) else ((None, item) for item in value)
            for name, item in named:
                # pulumi-command's SDK makes a whole connection secret; a message without host and user tells nothing.
                if name not in ("host", "hostKey", "user"):
                    self.learn(item, secret=secret)
        elif secret and isinstance(value, str):
            # Messages quote single lines of keys and certificates, too.
            lines = (line for line in value.splitlines() if not line.startswith("-----"))
            known = (part.strip() for part in (value, *lines))
            self._known.update(part for part in known if len(part) >= _SHORTEST_REDACTED)

    def __call__(self, text: str) -> str:
        for known in sorted(self._known, key=len, reverse=True):
            text = text.replace(known, "[secret]")
        return text


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
