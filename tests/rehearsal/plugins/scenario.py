"""A checkout of its own that is edited, and a stack in it that both engines drive, each in a world of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.rehearsal.stacks import ROOT, sealed

ENGINES = ("embedded", "pulumi")
_PASSPHRASE = "open sesame"
_LIMIT = 300  # seconds for one run

Operations = dict[str, list[str]]  # by URN


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one engine did, and what the stand-in cloud is afterwards."""

    ok: bool
    operations: Operations
    outputs: frozenset[str]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    cloud: list[tuple[str, str]]


class Scenario:
    """The checkout and the stack file in it, which edits change; `run` has both engines follow."""

    def __init__(self, folder: Path, stack: str = "dev") -> None:
        self.folder = folder
        self.stack = folder / "checkout" / f"Pulumi.{stack}.yaml"
        self.checkout = folder / "checkout"
        left_out = shutil.ignore_patterns(".*", "__pycache__", "bench", "docs")
        shutil.copytree(ROOT, self.checkout, ignore=left_out)
        (self.checkout / ".venv").symlink_to(ROOT / ".venv")
        self._salt, self._secrets = sealed(_PASSPHRASE, "first secret", "second secret")

    def set(self, place: str, value: Any) -> None:
        """A setting, "section.key"."""
        section, _, key = place.partition(".")
        document = yaml.safe_load(self.stack.read_text())
        document["config"].setdefault(f"flask-origin:{section}", {})[key] = value
        self.stack.write_text(yaml.safe_dump({**document, "encryptionsalt": self._salt}))

    def set_secret(self, name: str) -> None:
        """One of the app's secrets, as `pulumi config set --secret` writes it; another value each time."""
        self.set(f"secrets.{name}", {"secure": self._secrets.pop()})

    def replace(self, file: str, old: str, new: str) -> None:
        """An edit of the program or of the app."""
        path = self.checkout / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))

    def world(self, engine: str) -> Path:
        return self.folder / engine / "home" / self.stack.name.split(".")[1]

    def change_cloud(self, collection: str, change: Any) -> None:
        """What another hand does to every object of a collection, in both worlds."""
        for engine in ENGINES:
            for path in (self.world(engine) / "cloud" / collection).glob("*.json"):
                document = json.loads(path.read_text())
                change(document)
                path.write_text(json.dumps(document))

    def delete_from_cloud(self, collection: str) -> None:
        """Another hand deletes every object of a collection, in both worlds."""
        for engine in ENGINES:
            for path in (self.world(engine) / "cloud" / collection).glob("*.json"):
                path.unlink()

    def run(self, command: str) -> dict[str, Seen]:
        """Both engines, side by side."""
        with ThreadPoolExecutor() as pool:
            return dict(zip(ENGINES, pool.map(lambda engine: self._run(command, engine), ENGINES), strict=True))

    def _run(self, command: str, engine: str) -> Seen:
        done = subprocess.run(
            [sys.executable, "-m", "tests.rehearsal.plugins.on_paper", command, engine, str(self.stack)],
            cwd=self.checkout,
            env={
                **os.environ,
                "REHEARSAL_HOME": str(self.folder / engine / "home"),
                "PULUMI_CONFIG_PASSPHRASE": _PASSPHRASE,
                "PYTHONPATH": str(self.checkout),
            },
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result = json.loads(done.stdout)
        return Seen(
            ok=result["ok"],
            operations=_operations(result["steps"]),
            outputs=frozenset(result["outputs"]),
            warnings=tuple(sorted(warning["text"] for warning in result["warnings"])),
            errors=tuple(sorted(error["text"] for error in result["errors"])),
            cloud=_cloud(self.world(engine)),
        )


def _operations(steps: list[dict[str, Any]]) -> Operations:
    """What was done to each resource. The stack itself and the default providers only one of the engines has."""
    done: Operations = {}
    for step in steps:
        if step["type"] != "pulumi:pulumi:Stack" and not step["type"].startswith("pulumi:providers:"):
            word = f"{step['op']}{' replaced' * step['replaced']}{' failed' * step['failed']}"
            done.setdefault(step["urn"], []).append(word)
    return {urn: sorted(words) for urn, words in sorted(done.items())}


# What is made anew for each world, and so is never the same in two.
_RANDOM = {
    r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\s*": r"<\1>",
    r"ssh-ed25519 [A-Za-z0-9+/=]+\s*": "<ssh key>",
    r"\b([0-9a-f]{2}:){15}[0-9a-f]{2}\b": "<fingerprint>",
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=": "<fingerprint>",
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\"]*": "<time>",
    r"-[0-9a-f]{7}\b": "-<random>",
    r"\b\d{20,}\b": "<serial>",
    r"\b([a-z]+)-[0-9a-f]{17}\b": r"<\1>",
    r"\b10\.108\.\d+\.\d+\b": "<private address>",
}


def _cloud(world: Path) -> list[tuple[str, str]]:
    """Every object of the account: its collection and what is kept of it, each id replaced by its collection."""
    objects: list[tuple[str, dict[str, Any]]] = []
    ids: dict[str, str] = {}
    for path in sorted((world / "cloud").rglob("*.json")) if world.exists() else ():
        collection = str(path.parent.relative_to(world / "cloud"))
        if collection != "authorities":  # the edge's own
            objects.append((collection, json.loads(path.read_text())))
            ids.setdefault(path.stem.partition("%2E")[0], collection)
    found = []
    for collection, kept in objects:
        text = json.dumps({name: kept[name] for name in sorted(kept) if name not in ("made_at", "made_from")})
        for id, of in ids.items():
            text = text.replace(id, f"<{of}>")
        for pattern, word in _RANDOM.items():
            text = re.sub(pattern, word, text, flags=re.S)
        found.append((collection, text))
    return sorted(found)
