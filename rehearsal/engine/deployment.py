"""What becomes of each resource that the program asks for: same, create, update or replace, and what goes.

The rules are the real engine's (pkg/resource/deploy/step_generator.go in pulumi/pulumi). Two differ on purpose: a
change of a resource's provider alone changes nothing, since stand-in providers have no account of their own, and their
region is an input of what they make; and an aliased resource may change its type freely.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Function, Props, Unknown, differing, has_unknown, same

from .execution import Execution
from .state import Record
from .steps import changes
from .urns import name_of, parts, urn_of
from .values import Unsupported, plain

TRIGGER = "replacementTrigger"


@dataclass(frozen=True, kw_only=True)
class Alias:
    """Another name that a resource may have had: a whole URN, or what differs from its present one."""

    urn: str = ""
    name: str = ""
    type: str = ""
    project: str = ""
    stack: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A resource as the program wants it, and how to get there."""

    record: Record  # without id and outputs
    aliases: tuple[Alias, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()  # "*" is all
    delete_before_replace: bool | None = None  # None: as the provider says


class Deployment:
    """One run of a program. Called from many threads."""

    def __init__(self, execution: Execution, functions: Mapping[str, Function]) -> None:
        self._do = execution
        self._state = execution.state
        self._functions = functions
        self._claiming = threading.Lock()
        self._seen: set[str] = set()
        self._renamed: dict[str, str] = {}  # this run's URN to the one that the state knew
        self._cleared: set[str] = set()  # deleted to make room for a replacement, if the program wants one

    def register(self, goal: Goal) -> Record:
        """Brings a resource about. In a preview outputs may be UNKNOWN, and a new one's id is empty."""
        self._do.run.redact.learn(goal.record.inputs)
        with self._do.run.reporting(goal.record.urn):
            old = self._claim(goal)
            return self._custom(goal, old) if goal.record.custom else self._component(goal.record, old)

    def read(self, record: Record, id: str | Unknown) -> Record:
        """Looks up a resource that is none of ours."""
        with self._do.run.reporting(record.urn):
            return self._do.read(record, id, self._claim(Goal(record=record)))

    def invoke(self, token: str, args: Props, provider: str) -> Props:
        """`provider` is an explicit one, "urn::id", or "". Raises ApiError, Unsupported."""
        if token not in self._functions:
            raise Unsupported(f"the function {token}")
        return self._functions[token].invoke({**self._do.lent(provider, ("region",)), **args})

    def record_outputs(self, urn: str, outputs: Props) -> None:
        """A component's own outputs; the stack's are the program's exports."""
        self._do.run.redact.learn(outputs)
        with self._do.run.reporting(urn):
            record = self._state.find(urn)
            if record is None:
                raise Unsupported("outputs of a resource that was not registered")
            with self._state.changing(write=record.outputs != outputs):
                self._state.amend(record, replace(record, outputs=outputs))

    def finish(self) -> None:
        """Deletes what was replaced and what the program no longer has: only after the program succeeded."""
        self._do.delete_all(record for record in self._state.records if record.delete or record.urn not in self._seen)

    def _claim(self, goal: Goal) -> Record | None:
        """What the state has for it, under its present name."""
        record = goal.record
        with self._claiming:
            if record.urn in self._seen:
                raise ApiError(f"there are two resources of type {record.type} with the name {record.name}")
            self._seen.add(record.urn)
            if self._state.find(record.urn) is None:
                for former in self._former_urns(goal):
                    if former not in self._seen and self._state.find(former):
                        self._renamed[record.urn] = former
                        with self._state.changing():
                            self._state.rename(former, record.urn)
                        break
            return self._state.find(record.urn)

    def _former_urns(self, goal: Goal) -> list[str]:
        """The aliases written out, and those that follow from the parent's having been renamed."""
        record = goal.record
        stack, project, _, _ = parts(record.urn)
        own = []
        for alias in goal.aliases:
            parent = self._renamed.get(alias.parent, alias.parent) or record.parent
            name, type = alias.name or record.name, alias.type or record.type
            parent = "" if alias.no_parent else parent
            own.append(alias.urn or urn_of(alias.stack or stack, alias.project or project, parent, type, name))
        inherited = []
        if former_parent := self._renamed.get(record.parent):
            for urn in (record.urn, *own):
                *_, types, name = parts(urn)
                if name.startswith(present := name_of(record.parent)):  # by convention children are named so
                    name = name_of(former_parent) + name.removeprefix(present)
                inherited.append(urn_of(stack, project, former_parent, types.rpartition("$")[2], name))
        return own + inherited

    def _component(self, record: Record, old: Record | None) -> Record:
        if old is None:
            return self._do.component("create", record)
        record = replace(record, outputs=old.outputs)
        if names := _differing(old, record):
            return self._do.component("update", record, changes(old.inputs, record.inputs, names))
        return self._do.same(record, old)

    def _custom(self, goal: Goal, old: Record | None) -> Record:
        wanted = goal.record
        if wanted.import_id and (old is None or old.external or wanted.import_id != (old.import_id or old.id)):
            old = self._do.take_over(self._do.checked(wanted), wanted.import_id, old)
        if old is None or old.external:
            record = self._do.checked(wanted)
            op = "replace" if wanted.urn in self._cleared else "create"
            return self._do.create(op, record, changes({}, record.inputs, record.inputs))
        record = self._do.checked(_ignoring(wanted, old, goal.ignore_changes))
        diff = self._diff(goal, record, old)
        if not diff.changes:
            return self._do.same(record, old)
        if not diff.replaces:
            return self._do.update(record, old, diff)
        return self._replace(goal, old, diff)

    def _replace(self, goal: Goal, old: Record, diff: Diff) -> Record:
        wanted, why = goal.record, ", ".join(diff.replaces)
        if old.protect and wanted.protect:
            raise ApiError(f"is protected, but the change of {why} replaces it: take protect=True off it first")
        if wanted.import_id:
            raise ApiError(f"was imported, but the change of {why} replaces it: take import_ off it first")
        # A new one starts from what the program says: there is nothing yet to ignore changes of.
        record = self._do.checked(wanted)
        changed = changes(
            {**old.inputs, TRIGGER: old.replacement_trigger},
            {**record.inputs, TRIGGER: record.replacement_trigger},
            (*diff.changes, *_differing(old, record)),
            diff.replaces,
        )
        clear_first = diff.delete_before_replace
        if goal.delete_before_replace is not None:
            clear_first = goal.delete_before_replace
        if not clear_first:
            return self._do.create("replace", record, changed, old)
        doomed = [old, *self._replaced_with(old)]
        for each in doomed[1:]:
            if each.protect:
                raise ApiError(f"can't be replaced, since {each.urn} would be too and is protected")
        for each in reversed(doomed):
            self._do.delete(each, replaced=True)
            self._cleared.add(each.urn)
        return self._do.create("replace", record, changed)

    def _replaced_with(self, root: Record) -> list[Record]:
        """What depends on it in such a way that it will be replaced, too: it can't outlive it."""
        urns, found = {root.urn}, []
        for record in self._state.records:
            uncertain = {name for name, needs in record.property_dependencies.items() if urns.intersection(needs)}
            if uncertain and not record.delete and record.urn not in self._seen:
                inputs = plain(record.inputs)
                news = {name: UNKNOWN if name in uncertain else value for name, value in inputs.items()}
                handler = self._do.handler(record.type)
                if handler.diff(record.id, inputs, plain(record.outputs), news).replaces:
                    urns.add(record.urn)
                    found.append(record)
        return found

    def _diff(self, goal: Goal, record: Record, old: Record) -> Diff:
        """The provider's opinion, and what the program's options and a broken-off update add to it."""
        handler = self._do.handler(record.type)
        diff = handler.diff(old.id, plain(old.inputs), plain(old.outputs), plain(record.inputs))
        names = dict.fromkeys((*diff.changes, *diff.replaces, *old.unsettled))
        everything = "*" in goal.replace_on_changes
        replaces = [name for name in names if everything or name in diff.replaces or name in goal.replace_on_changes]
        before, after = plain(old.replacement_trigger), plain(record.replacement_trigger)
        if before is not None and after is not None and (has_unknown(after) or not same(before, after)):
            names[TRIGGER] = None
            replaces.append(TRIGGER)
        return Diff(tuple(names), tuple(replaces), diff.delete_before_replace, diff.renews)


def _differing(old: Record, new: Record) -> list[str]:
    return differing(plain(old.inputs), plain(new.inputs))


def _ignoring(wanted: Record, old: Record, names: tuple[str, ...]) -> Record:
    kept = {name: old.inputs[name] for name in names if name in old.inputs}
    return replace(wanted, inputs={name: v for name, v in wanted.inputs.items() if name not in names} | kept)
