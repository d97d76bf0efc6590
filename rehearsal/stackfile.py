"""Reading a stack's `Pulumi.<stack>.yaml` as the CLI would, without the CLI."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rehearsal.passphrase import Passphrase, Refused


class StackFileError(ValueError):
    """The stack file can't be used; the text says which file, what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """One stack's configuration in the shape in which a program receives it.

    `config` maps "project:key" to text, objects being JSON; `secret_keys` are those that hold a secret anywhere.
    `substituted` names the secrets that could not be decrypted here and were replaced by random text.
    """

    path: Path
    stack: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]
    substituted: tuple[str, ...]

    def section(self, name: str) -> dict[str, Any]:
        """One of this project's object settings, decoded; empty when it is not written, or is no object."""
        with contextlib.suppress(json.JSONDecodeError):
            section = json.loads(self.config.get(f"flask-origin:{name}", "{}"))
            return section if isinstance(section, dict) else {}
        return {}


def find(project: Path, wanted: str) -> Path:
    """The stack file that `wanted` means: a path to one, or the name of a stack of `project`."""
    given = Path(wanted)
    path = given if given.suffix == ".yaml" else project / f"Pulumi.{wanted}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.name.split(".")[1] for p in project.glob("Pulumi.*.yaml"))) or "none"
        raise StackFileError(f"--stack {wanted}: there is no {path}; stacks here: {known}")
    if not (path.name.startswith("Pulumi.") and path.name.count(".") == 2):
        raise StackFileError(f"--stack {wanted}: a stack file is named Pulumi.<stack>.yaml, not {path.name}")
    return path.resolve()


def load(path: Path, environ: Mapping[str, str] = os.environ) -> StackFile:
    """Read `path`; encrypted values are decrypted with PULUMI_CONFIG_PASSPHRASE[_FILE] where that is set.

    Raises StackFileError for a file that is not YAML of that form, or a passphrase that does not fit.
    """
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StackFileError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from None
    config = (document.get("config") or {}) if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(f"{path.name}: needs a mapping `config:` of `project:key` to value")
    try:
        return _loaded(path, config, _decrypter(document.get("encryptionsalt"), environ))
    except Refused as refusal:
        raise StackFileError(f"{path.name}: {refusal}") from None


def _loaded(path: Path, config: Mapping[Any, Any], decrypt: Callable[[str], str] | None) -> StackFile:
    substituted: list[str] = []
    secret_keys: set[str] = set()
    values: dict[str, str] = {}
    for name, written in config.items():
        key = str(name) if ":" in str(name) else f"flask-origin:{name}"

        def reveal(place: str, ciphertext: str, key: str = key) -> str:
            secret_keys.add(key)
            if decrypt is not None:
                return decrypt(ciphertext)
            substituted.append(place)
            return secrets.token_urlsafe(48)

        value = _revealed(written, key, reveal)
        # YAML has dates, JSON has not.
        values[key] = value if isinstance(value, str) else json.dumps(value, default=str)
    return StackFile(
        path=path,
        stack=path.name.split(".")[1],
        config=values,
        secret_keys=frozenset(secret_keys),
        substituted=tuple(substituted),
    )


def _revealed(value: Any, place: str, reveal: Callable[[str, str], str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return reveal(place, str(value["secure"]))
        return {str(name): _revealed(inner, f"{place}.{name}", reveal) for name, inner in value.items()}
    if isinstance(value, list):
        return [_revealed(inner, f"{place}[{index}]", reveal) for index, inner in enumerate(value)]
    return value


def _decrypter(salt: object, environ: Mapping[str, str]) -> Callable[[str], str] | None:
    passphrase = environ.get("PULUMI_CONFIG_PASSPHRASE")
    if passphrase is None and environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        passphrase = Path(environ["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip()
    if passphrase is None or not isinstance(salt, str):
        return None
    return Passphrase(passphrase, salt).open
