"""What exists: one JSON file, whole at every moment, and the lock that keeps a second run out."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from rehearsal.providers.base import Props

from .secrets import Sealer, StateLocked
from .urns import name_of
from .values import from_tree, to_tree

VERSION = 1
Operation = Literal["creating", "updating", "deleting"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One resource as it was last seen. In the file the names are camelCase and defaults are left out."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Props = field(default_factory=dict)
    outputs: Props = field(default_factory=dict)
    parent: str = ""
    provider: str = ""  # an explicit provider, "urn::id"
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    external: bool = False  # only read, never ours to change
    delete: bool = False  # replaced, and to be deleted at the end of an update
    import_id: str = ""
    additional_secret_outputs: tuple[str, ...] = ()
    replacement_trigger: Any = None
    unsettled: tuple[str, ...] = ()  # inputs that a broken-off update may or may not have changed

    @property
    def name(self) -> str:
        return name_of(self.urn)

    def renamed(self, old: str, new: str) -> Record:
        """With every mention of one URN changed to another."""

        def urns(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new if urn == old else urn for urn in values)

        provider, _, provider_id = self.provider.rpartition("::")
        return replace(
            self,
            urn=new if self.urn == old else self.urn,
            parent=new if self.parent == old else self.parent,
            provider=f"{new}::{provider_id}" if provider == old else self.provider,
            dependencies=urns(self.dependencies),
            property_dependencies={name: urns(deps) for name, deps in self.property_dependencies.items()},
        )


class State:
    """Records in an order in which nothing comes before what it depends on.

    Those registered in this run come first, in the order of their completion; the rest keeps the order of the run
    before. So the reverse is always a safe order to delete in, even after a run that broke off. A preview works on
    a state too, one that is never written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises StateLocked when secrets can't be opened or the file is of another version."""
        self._path = path
        self._read_only = read_only
        self._settled: list[Record] = []
        self._former: list[Record] = []
        self._pending: dict[int, tuple[Operation, Record]] = {}
        self._notes = itertools.count()
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._changes = self._written = 0
        self._texts: dict[int, tuple[Record, str]] = {}
        key_file = path.with_suffix(".key")
        if path.exists():
            content = json.loads(path.read_text())
            if content["version"] != VERSION:
                raise StateLocked(f"{path} is of version {content['version']}, this engine knows {VERSION}")
            self._sealer = Sealer.of(key_file, content["secrets"])
            self._former = [self._record(tree) for tree in content["resources"]]
            for note in content["pendingOperations"]:
                self._pending[next(self._notes)] = note["type"], self._record(note["resource"])
        elif not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sealer = Sealer.new(key_file)
        self._live = {record.urn: record for record in self._former if not record.delete}

    @property
    def records(self) -> tuple[Record, ...]:
        with self._lock:
            return (*self._settled, *self._former)

    @property
    def pending(self) -> Mapping[int, tuple[Operation, Record]]:
        return dict(self._pending)

    def find(self, urn: str) -> Record | None:
        """The record that a URN stands for now, not one that awaits deletion."""
        return self._live.get(urn)

    def begin(self, operation: Operation, record: Record) -> int:
        """Writes down what is about to be done, so that a kill in the middle leaves an honest note."""
        with self.changing():
            note = next(self._notes)
            self._pending[note] = operation, record
        return note

    @contextlib.contextmanager
    def changing(self, *ended: int, write: bool = True) -> Iterator[None]:
        """What is changed within is written at once, together with the end of the noted operations."""
        with self._lock:
            yield
            for note in ended:
                del self._pending[note]
            self._changes += write
        if write:
            self._flush()

    def settle(self, record: Record) -> None:
        """This run's record of a resource, in place of the former one."""
        if former := self._live.get(record.urn):
            self.drop(former)
        self._settled.append(record)
        self._live[record.urn] = record

    def adopt(self, record: Record) -> None:
        """A resource that an earlier run made without recording it."""
        self._former.append(record)
        self._live[record.urn] = record

    def amend(self, record: Record, amended: Record) -> None:
        """Changes a record where it stands."""
        for records in (self._settled, self._former):
            records[:] = [amended if each is record else each for each in records]
        if self._live.get(record.urn) is record:
            del self._live[record.urn]
            if not amended.delete:
                self._live[amended.urn] = amended

    def drop(self, record: Record) -> None:
        for records in (self._settled, self._former):
            records[:] = [each for each in records if each is not record]
        if self._live.get(record.urn) is record:
            del self._live[record.urn]

    def rename(self, old: str, new: str) -> None:
        for records in (self._settled, self._former):
            records[:] = [each.renamed(old, new) for each in records]
        self._live = {record.urn: record for record in self.records if not record.delete}

    def _flush(self) -> None:
        with self._lock:
            wanted = self._changes
        if self._read_only:
            return
        with self._writing:
            if self._written >= wanted:
                return  # another thread's write took this change along
            with self._lock:
                covered, text = self._changes, self._render()
            _write(self._path, text)
            self._written = covered

    def _render(self) -> str:
        pending = [record for _, record in self._pending.values()]
        known = self._texts
        # Records never change, so each is put into words (and its secrets sealed) once.
        self._texts = {
            id(record): known.get(id(record)) or (record, json.dumps(self._tree(record)))
            for record in (*self.records, *pending)
        }
        notes = ",\n".join(
            f'{{"type": "{operation}", "resource": {self._texts[id(record)][1]}}}'
            for operation, record in self._pending.values()
        )
        resources = ",\n".join(self._texts[id(record)][1] for record in self.records)
        return (
            f'{{"version": {VERSION}, "secrets": {json.dumps(self._sealer.terms)},\n'
            f'"pendingOperations": [{notes}],\n"resources": [\n{resources}\n]}}\n'
        )

    def _tree(self, record: Record) -> dict[str, Any]:
        tree = {"urn": record.urn, "type": record.type, "custom": record.custom}
        for each in fields(Record):
            if each.name not in tree and (value := getattr(record, each.name)) not in (each.default, (), {}):
                tree[_camel(each.name)] = to_tree(
                    value, lambda inner: {"ciphertext": self._sealer.seal(json.dumps(inner))}
                )
        return tree

    def _record(self, tree: dict[str, Any]) -> Record:
        known = {}
        for each in fields(Record):
            if (value := tree.get(_camel(each.name))) is not None:
                value = from_tree(value, lambda inner: json.loads(self._sealer.open(inner["ciphertext"])))
                known[each.name] = tuple(value) if str(each.type).startswith("tuple") else value
        deps = known.get("property_dependencies", {})
        known["property_dependencies"] = {name: tuple(urns) for name, urns in deps.items()}
        return Record(**known)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One run at a time. A lock whose process is dead is taken over. Raises StateLocked.

    The file names its process by pid and start time. Not flock for the whole run: children that outlive us (the
    machines' supervisors) could inherit it; here it only guards the look at the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    me = f"{os.getpid()} {_started(os.getpid())}"
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        holder = file.read().split()
        if len(holder) == 2 and _started(int(holder[0])) == holder[1]:
            raise StateLocked(f"another run (process {holder[0]}) is at work on {path.parent}; wait for it")
        file.truncate(0)
        file.write(me)
    try:
        yield
    finally:
        path.write_text("")


def _started(pid: int) -> str | None:
    """The process's start in clock ticks since boot, since pids are used again; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if status[0] == "Z" else status[19]  # fields 3 and 22 of proc_pid_stat(5)


def _write(path: Path, text: str) -> None:
    """All or nothing, and on disk when it returns."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))
