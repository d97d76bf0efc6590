"""One rehearsed stack: the program, an engine that drives it, and the stand-in cloud that both run against."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from provisioning.proxies import PROGRAMS, Program
from rehearsal import providers
from rehearsal.cloud import authorities, edge, ground, image, mirror, network
from rehearsal.cloud.world import World
from rehearsal.engine import Engine as EmbeddedEngine
from rehearsal.engine import Event, Result
from rehearsal.official import OfficialEngine
from rehearsal.providers.cloudflare import zones
from rehearsal.stackfile import StackFile

PROJECT = Path(__file__).parent.parent
EngineName = Literal["embedded", "pulumi"]
_OPERATOR = "198.18.67.10"

# Accepted by the stand-in clouds only.
CREDENTIALS = {
    "CLOUDFLARE_API_TOKEN": "rehearsal",
    "DIGITALOCEAN_TOKEN": "rehearsal",
    "AWS_ACCESS_KEY_ID": "rehearsal",
    "AWS_SECRET_ACCESS_KEY": "rehearsal",
    "OPERATOR_ADDRESS": _OPERATOR,
}


def home() -> Path:
    """Where the worlds of this checkout live."""
    return Path(os.environ.get("REHEARSAL_HOME") or PROJECT / ".rehearsal")


class NotUp(Exception):
    """A command needs a stack that is up, and it isn't."""


class OtherEngine(Exception):
    """The stack was brought up by another engine than the one that is to drive it now."""


class Engine(Protocol):
    """What drives a stack. `options` are those of the `pulumi` command; the embedded engine refuses them."""

    @property
    def folder(self) -> Path:
        """Where it keeps what it knows."""
        ...

    @property
    def holds_state(self) -> bool:
        """Whether the stack is this engine's, or half of it."""
        ...

    def preview(
        self, program_dir: Path, config: Mapping[str, Any], secret_keys: Collection[str], options: Sequence[str]
    ) -> Result: ...

    def up(
        self, program_dir: Path, config: Mapping[str, Any], secret_keys: Collection[str], options: Sequence[str]
    ) -> Result: ...

    def destroy(self, options: Sequence[str]) -> Result: ...

    def refresh(self, options: Sequence[str]) -> Result: ...

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]: ...


class Rehearsal:
    """A stack on its stand-in cloud. Every method may be called again after a crash of the one before.

    `engine` is by default the one that brought the stack up, and the embedded one for a new stack.
    """

    def __init__(
        self,
        stack: StackFile,
        say: Callable[[str], None],
        listener: Callable[[Event], None],
        engine: EngineName | None = None,
    ) -> None:
        """Raises OtherEngine."""
        self.stack = stack
        self.say = say
        self.world = World(home() / stack.stack)
        engines: dict[EngineName, Engine] = {
            "embedded": EmbeddedEngine(
                self.world.root / "engine",
                "flask-origin",
                stack.stack,
                providers.resources(self.world),
                providers.functions(self.world),
                listener,
            ),
            "pulumi": OfficialEngine(
                self.world.root / "pulumi", "flask-origin", stack.stack, self.world.root, listener
            ),
        }
        holder: EngineName | None = next((name for name, each in engines.items() if each.holds_state), None)
        self.engine_name: EngineName = engine or holder or "embedded"
        if holder and holder != self.engine_name:
            raise OtherEngine(
                f"stack {stack.stack} was brought up with --engine {holder}: go on with that one, or destroy it first"
            )
        self.engine = engines[self.engine_name]

    @property
    def proxy(self) -> Program:
        """The proxy that the stack asks for."""
        return PROGRAMS[self.stack.section("proxy").get("kind", "caddy")]

    @property
    def exists(self) -> bool:
        """Whether anything of this stack may be standing, or half of it."""
        return any(self.world.root.iterdir())

    @property
    def public_ca(self) -> Path:
        """The CA (PEM file) that visitors trust for the edge's certificates."""
        return authorities.public_file(self.world)

    def require(self) -> None:
        """Raises NotUp when the stack was never brought up. After a reboot of this machine `up` brings it back."""
        if not (self.exists and self.engine.outputs()):
            raise NotUp(f"stack {self.stack.stack} is not up; run `./rehearse up --stack {self.stack.stack}` first")

    def prepare(self) -> None:
        """Bring up what stands before any machine: image, packages, networks, the edge. Raises WorldFailed."""
        ground.ensure(self.world, self.say)
        mirror.require_packages(self.world, image.ensure(self.world.cache))
        edge.apply(self.world)

    def up(self, changes: Mapping[str, Mapping[str, Any]] | None = None, options: Sequence[str] = ()) -> Result:
        """Run the program for real; `changes` overlays settings, section by section."""
        self._open_account()
        with _credentials():
            return self.engine.up(PROJECT, *self._config(changes), options)

    def preview(self, changes: Mapping[str, Mapping[str, Any]] | None = None, options: Sequence[str] = ()) -> Result:
        """Say what `up` would do, and do none of it: it needs no machines, and nothing that `prepare` brings up."""
        self._open_account()
        with _credentials():
            return self.engine.preview(PROJECT, *self._config(changes), options)

    def refresh(self, options: Sequence[str] = ()) -> Result:
        """Take what was changed behind the engine's back into its state."""
        with _credentials():
            return self.engine.refresh(options)

    def take_over(self, arguments: Sequence[str]) -> Result:
        """`pulumi import`, with its own arguments. Raises NotUp with the embedded engine."""
        if not isinstance(self.engine, OfficialEngine):
            raise NotUp(
                "import needs a stack that was brought up with --engine pulumi; with the embedded engine "
                "write import_=<id> among the resource's options"
            )
        with _credentials():
            return self.engine.take_over(arguments)

    def destroy(self, options: Sequence[str] = ()) -> Result:
        """Take down what the program made, then, if nothing is left of it, the world itself."""
        with _credentials():
            result = self.engine.destroy(options)
        if result.ok and not (options and self.engine.holds_state):
            self.remove()
        return result

    def remove(self) -> None:
        """Take down the world whatever state it is in; nothing of it is left."""
        edge.stop(self.world)
        ground.remove(self.world)
        shutil.rmtree(self.world.root, ignore_errors=True)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets shown: for the rehearsal's own use, not for printing."""
        return self.engine.outputs(show_secrets=True)

    @contextlib.contextmanager
    def ssh(self) -> Iterator[list[str]]:
        """The command that logs in as `deploy` from the operator's place; the key exists only meanwhile."""
        outputs = self.outputs()
        with _private_folder(self.world.root) as folder:
            key, known = folder / "key", folder / "known_hosts"
            key.touch(mode=0o600)
            key.write_text(outputs["deploy_key"])
            known.write_text(f"{outputs['ipv4']} {outputs['host_key']}\n")
            options = ["-o", f"UserKnownHostsFile={known}", "-o", "ConnectTimeout=10", "-o", "IdentitiesOnly=yes"]
            yield [
                *("ip", "netns", "exec", self.world.namespace("operator")),
                *("ssh", "-i", str(key), "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=yes", *options),
                f"deploy@{outputs['ipv4']}",
            ]

    def on_host(self, command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one shell command on the host as `deploy`, captured, bounded to a minute unless told."""
        with self.ssh() as login:
            return subprocess.run([*login, command], **{"text": True, "capture_output": True, "timeout": 60, **options})

    def at(self, place: str, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command from one of the places to stand."""
        return network.exec_in(
            self.world, place, list(argv), **{"text": True, "capture_output": True, "timeout": 60, **options}
        )

    def _open_account(self) -> None:
        """An account that has the zone, as its owner would have had it put there."""
        with contextlib.suppress(ValueError):  # no domain name: the program says it better
            zones.seed_zone(self.world, str(self.stack.section("site").get("zone", "")))

    def _config(self, changes: Mapping[str, Mapping[str, Any]] | None) -> tuple[dict[str, str], frozenset[str]]:
        config = dict(self.stack.config)
        for section, values in (changes or {}).items():
            config[f"flask-origin:{section}"] = json.dumps({**self.stack.section(section), **values})
        secret_keys = self.stack.secret_keys | ({"flask-origin:secrets"} if "secrets" in (changes or {}) else set())
        return config, secret_keys


@contextlib.contextmanager
def _credentials() -> Iterator[None]:
    """The stand-in's credentials in the environment, and the operator's real ones out of it."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "CLOUDFLARE_", "DIGITALOCEAN_"))]:
        if name != "AWS_CA_BUNDLE":
            del os.environ[name]
    os.environ.update(CREDENTIALS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    folder = parent / f"ssh-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
