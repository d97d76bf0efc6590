"""pulumi-command's remote resources: scripts and files over SSH.

Source: pulumi-command 1.2.1, provider/pkg/provider/remote/{command,commandController,commandOutputs,copy,
copyController}.go.
"""

from __future__ import annotations

import json
import posixpath
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from pulumi import Archive, Asset, AssetArchive, FileArchive, FileAsset, StringAsset

from rehearsal.providers import ssh
from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Failure, Property, Props, Resource, content_hash, same
from rehearsal.providers.shapes import with_defaults

_OUTPUT_TAIL = 16_000  # characters of a failed command's output that its error quotes
# What sshd on Debian takes from a client (AcceptEnv in its sshd_config); any other name fails, as with the real one.
_ACCEPTED_ENVIRONMENT = re.compile(r"LANG|LC_.*|COLORTERM|NO_COLOR")


class _Remote(Resource):
    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        connection = with_defaults(checked.get("connection"), ssh.CONNECTION)
        if connection is not None:
            checked["connection"] = connection
            failures += ssh.refused(connection)
        return checked, [*failures, *self._odd(checked)]

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from ()

    def read(self, id: str, outputs: Props) -> Props | None:
        # The real provider reads nothing back; nor can either be imported.
        if not outputs:
            raise ApiError(f"{self.token} can't be imported")
        return outputs


class Command(_Remote):
    """Runs `create`, `update` (or else `create`) and `delete` on the other side."""

    token = "command:remote:Command"
    inputs: ClassVar = {
        "connection": Property(kind=dict, required=True, secret=True),
        "create": Property(),
        "update": Property(),
        "delete": Property(),
        "stdin": Property(),
        "environment": Property(kind=dict),
        "triggers": Property(kind=list, replace=True),
        "logging": Property(choices=("stdout", "stderr", "stdoutAndStderr", "none")),
        "addPreviousOutputInEnv": Property(kind=bool),
    }
    outputs: ClassVar = {"stdout": Property(), "stderr": Property()}

    def _odd(self, news: Props) -> Iterator[Failure]:
        environment = news.get("environment")
        for name, value in environment.items() if isinstance(environment, dict) else ():
            if not isinstance(value, str) and value is not UNKNOWN:
                yield Failure(f"environment.{name}", f"must be str, not {type(value).__name__}")
            if not _ACCEPTED_ENVIRONMENT.fullmatch(name):
                yield Failure(
                    f"environment.{name}",
                    f"could not set environment variable {name!r}: Debian's sshd takes none but LANG and LC_* "
                    "(AcceptEnv); pass it through stdin",
                )

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        # The provider's framework takes every output to depend on every input (pulumi-go-provider, infer/resource.go).
        return replace(found, renews=tuple(self.outputs) if found.changes else ())

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        outputs = self._run(inputs, inputs.get("create")) or {"stdout": "", "stderr": ""}
        return f"{name}{secrets.token_hex(4)}", {**inputs, **outputs}

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        before = {stream: old_outputs.get(stream, "") for stream in self.outputs}
        return {**inputs, **before, **(self._run(inputs, inputs.get("update") or inputs.get("create")) or {})}

    def delete(self, id: str, outputs: Props) -> None:
        self._run(outputs, outputs.get("delete"))

    def _run(self, props: Props, command: str | None) -> Props | None:
        """What it printed, without the last newline; None when there is nothing to run."""
        if command is None:
            return None
        # PULUMI_COMMAND_STDOUT and _STDERR are not set: sshd refuses them, and the real provider then goes on.
        session = ssh.run(self.world, props["connection"], command, props.get("stdin"), props.get("environment") or {})
        if session.code != 0:
            output = (session.stdout + session.stderr)[-_OUTPUT_TAIL:]
            raise ApiError(
                f"Process exited with status {session.code}: running {json.dumps(command, ensure_ascii=False)}:\n"
                f"{output}"
            )
        return {"stdout": session.stdout.removesuffix("\n"), "stderr": session.stderr.removesuffix("\n")}


class CopyToRemote(_Remote):
    """Copies one file, or a text, by SFTP."""

    token = "command:remote:CopyToRemote"
    inputs: ClassVar = {
        "connection": Property(kind=dict, required=True, secret=True),
        "remotePath": Property(required=True),
        "source": Property(kind=(Asset, Archive), required=True),
        "triggers": Property(kind=list, replace=True),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        source = news.get("source")
        if source is None or source is UNKNOWN or isinstance(source, StringAsset):
            return
        if isinstance(source, AssetArchive) or not isinstance(source, FileAsset | FileArchive):
            yield Failure("source", f"{type(source).__name__} is not rehearsed: give a FileAsset or a StringAsset")
        elif Path(source.path).is_dir():
            yield Failure("source", f"{source.path} is a folder, which is not rehearsed: give an archive of it")
        elif not Path(source.path).exists():
            yield Failure("source", f"open {source.path}: no such file or directory")

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        self._copy(inputs)
        return secrets.token_hex(4), dict(inputs)

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        moved = old_outputs.get("remotePath") != inputs["remotePath"]
        if moved or not same(old_outputs.get("source"), inputs["source"]):
            self._copy(inputs)
        return dict(inputs)

    def delete(self, id: str, outputs: Props) -> None:
        """The real provider leaves the file where it is."""

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None  # half a file at most, which the next copy overwrites

    def _copy(self, inputs: Props) -> None:
        source, destination = inputs["source"], inputs["remotePath"]
        content_hash(source)  # refuses what can't be read
        text = source.text if isinstance(source, StringAsset) else Path(source.path).read_bytes()
        name = posixpath.basename(destination) if isinstance(source, StringAsset) else Path(source.path).name
        if isinstance(source, StringAsset) and self._is_folder(inputs["connection"], destination):
            raise ApiError(
                f"remote path {destination} is a directory; when using a text asset, remotePath must be a file path"
            )
        # 0666 less the other side's umask, as Go's sftp.Create asks for: sftp sends the local file's mode.
        with ssh.memory_file(text, mode=0o666) as content, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            # Its name counts when the destination is a folder.
            local = Path(folder, name)
            local.symlink_to(content)
            session = ssh.sftp(self.world, inputs["connection"], _batch(local, destination))
        if session.code != 0:
            # The folders that are there already could not be made either.
            said = [line for line in session.stderr.splitlines() if not line.startswith("remote mkdir")]
            raise ApiError(f"failed to copy {name} to remote path {destination}: {' '.join(said)[-1000:]}")

    def _is_folder(self, connection: Props, path: str) -> bool:
        return ssh.sftp(self.world, connection, f"cd {_quoted(path)}\n").code == 0


def _batch(local: Path, destination: str) -> str:
    parents = [str(parent) for parent in reversed(Path(destination).parents) if str(parent) not in ("/", ".")]
    makes = "".join(f"-mkdir {_quoted(parent)}\n" for parent in parents)
    return f"{makes}put {_quoted(local)} {_quoted(destination)}\n"


def _quoted(path: Any) -> str:
    # Within quotes sftp takes *, ? and [ as they are.
    return '"' + re.sub(r'(["\\])', r"\\\1", str(path)) + '"'
