"""Stack files made from Pulumi.dev.yaml, and the command line run on them in this process."""

from __future__ import annotations

import base64
import copy
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rehearsal import cli
from rehearsal.providers.account import READ_ONLY, TOKEN
from rehearsal.rehearsal import CREDENTIALS

ROOT = Path(__file__).parents[2]
WATCHERS = {name: READ_ONLY if value == TOKEN else value for name, value in CREDENTIALS.items()}
"""The credentials of the jobs that only look."""


def write(folder: Path, changes: Mapping[str, Any], *, name: str = "bad", based_on: str = "dev") -> Path:
    """A stack file. `changes` are by "section" or "section.key"; None leaves a whole section out."""
    document = copy.deepcopy(yaml.safe_load((ROOT / f"Pulumi.{based_on}.yaml").read_text()))
    config = document["config"]
    for place, value in changes.items():
        section, _, key = place.partition(".")
        if key:
            config.setdefault(f"flask-origin:{section}", {})[key] = value
        elif value is None:
            del config[f"flask-origin:{section}"]
        else:
            config[f"flask-origin:{section}"] = value
    path = folder / f"Pulumi.{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def sealed(passphrase: str, *values: str) -> tuple[str, list[str]]:
    """What the CLI would write: the encryption salt, and each value's ciphertext."""
    salt = os.urandom(8)
    cipher = AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, 1_000_000, 32))

    def seal(text: str) -> str:
        nonce = os.urandom(12)
        return ":".join(
            ["v1", *(base64.b64encode(part).decode() for part in (nonce, cipher.encrypt(nonce, text.encode(), None)))]
        )

    return f"v1:{base64.b64encode(salt).decode()}:{seal('pulumi')}", [seal(value) for value in values]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a person saw of a command."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> list[str]:
        """The lines that say what is wrong, without the address of the resource that it is about."""
        lines = [line for line in self.out.splitlines() if not line.strip().startswith("(urn:")]
        refusals = self.err[self.err.find("rehearse:") :].splitlines() if "rehearse:" in self.err else []
        found = next((i for i, line in enumerate(lines) if line.startswith("error:")), len(lines))
        return lines[found:-1] + refusals


def rehearse(capsys: pytest.CaptureFixture[str], command: str, stack: Path, *options: str) -> Seen:
    """Runs `./rehearse <command> --stack <stack>`."""
    capsys.readouterr()
    code = cli.main([command, "--stack", str(stack), *options])
    printed = capsys.readouterr()
    return Seen(code=code, out=printed.out, err=printed.err)
