"""Carrying out steps: providers are called, the state is kept, and what happened is on record."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from rehearsal.providers.base import UNKNOWN, ApiError, Failure, Props, Resource, Unknown, has_unknown, same

from .secrets import Redactor
from .state import Record, State
from .steps import Change, Event, Op, Problem, Step, changes
from .values import Secret, Unsupported, has_secret, plain


class Failed(Exception):
    """The run is over; the reason is already among its errors."""


class Provider(Resource):
    """An explicit provider: its configuration is kept, and has no meaning here."""

    token = "pulumi:providers"

    def __init__(self) -> None:
        pass

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        return dict(news), []

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        return str(uuid.uuid4()), inputs

    def read(self, id: str, outputs: Props) -> Props | None:
        return outputs

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return inputs

    def delete(self, id: str, outputs: Props) -> None:
        pass

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None


@dataclass(kw_only=True)
class Execution:
    """The steps of one run, as they are done. Called from many threads; providers work side by side.

    In a preview the same steps change a state that is never written, no provider does anything but look, and what
    only doing could tell is UNKNOWN.
    """

    state: State
    resources: Mapping[str, Resource]
    listener: Callable[[Event], None]
    dry_run: bool
    redact: Redactor = field(default_factory=Redactor)
    steps: list[Step] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = threading.Lock()
        self._providers = Provider()
        for record in self.state.records:
            self.redact.learn([record.inputs, record.outputs])

    def handler(self, type: str) -> Resource:
        if type.startswith("pulumi:providers:"):
            return self._providers
        if type not in self.resources:
            raise Unsupported(f"resources of type {type}")
        return self.resources[type]

    # Messages

    @contextlib.contextmanager
    def reporting(self, urn: str = "") -> Iterator[None]:
        """Makes what goes wrong within an error of the run; after one, nothing begins. Raises Failed."""
        if self.errors:
            raise Failed
        try:
            yield
        except Failed:
            raise
        except (ApiError, Unsupported) as error:
            self.fail(str(error), urn)
            raise Failed from error
        except Exception as error:
            self.fail(traceback.format_exc(), urn)
            raise Failed from error

    def fail(self, text: str, urn: str = "") -> None:
        self.errors.append(problem := Problem(self.redact(text), urn))
        self._emit(Event(kind="error", text=problem.text, urn=urn))

    def warn(self, text: str, urn: str = "") -> None:
        self.warnings.append(problem := Problem(self.redact(text), urn))
        self._emit(Event(kind="warning", text=problem.text, urn=urn))

    def complain(self, text: str, urn: str = "") -> None:
        """An error that only the program thinks is one: pulumi.log.error does not end a run."""
        self._emit(Event(kind="error", text=self.redact(text), urn=urn))

    def inform(self, text: str, urn: str = "") -> None:
        self._emit(Event(kind="info", text=self.redact(text), urn=urn))

    @contextlib.contextmanager
    def _step(self, op: Op, record: Record, changed: tuple[Change, ...] = (), **marks: bool) -> Iterator[None]:
        step = Step(op=op, urn=record.urn, type=record.type, parent=record.parent, changes=changed, **marks)
        self.steps.append(step)
        self._emit(Event(kind="begin", step=step))
        began = time.monotonic()
        try:
            yield
        except BaseException:
            failed = replace(step, failed=True)
            self.steps[:] = [failed if each is step else each for each in self.steps]
            self._emit(Event(kind="failed", step=failed, seconds=time.monotonic() - began))
            raise
        self._emit(Event(kind="done", step=step, seconds=time.monotonic() - began))

    def _emit(self, event: Event) -> None:
        with self._listening:
            self.listener(event)

    # Inputs and outputs

    def checked(self, record: Record) -> Record:
        """With the inputs that the provider made of the program's. Raises ApiError."""
        handler = self.handler(record.type)
        news, failures = handler.check(plain(record.inputs))
        if failures:
            raise ApiError("\n".join(f"{failure.property} {failure.reason}" for failure in failures))
        if has_unknown(news) and not self.dry_run:
            raise ApiError("an input is still unknown")
        inputs: Props = {}
        for name, value in news.items():
            given = record.inputs.get(name)
            if has_secret(given):
                # As given, if the provider left it alone, so that secrets within stay where they are.
                value = given if same(plain(given), value) else Secret(value)
            elif name in handler.inputs and handler.inputs[name].secret:
                value = Secret(value)
            inputs[name] = value
        self.redact.learn(inputs)
        return replace(record, inputs=inputs)

    def _with_outputs(self, record: Record, id: str, outputs: Props) -> Record:
        """An output is secret when its input is, when the provider says so or when the program does."""
        handler = self.handler(record.type)
        rows = {**handler.inputs, **handler.outputs}
        marked = {
            name: Secret(value)
            if name in record.additional_secret_outputs
            or (name in rows and rows[name].secret)
            or has_secret(record.inputs.get(name))
            else value
            for name, value in outputs.items()
        }
        self.redact.learn(marked)
        return replace(record, id=id, outputs=marked, unsettled=())

    # Steps

    def same(self, record: Record, old: Record) -> Record:
        record = self._with_outputs(record, old.id, plain(old.outputs)) if record.custom else record
        with self._step("same", record), self.state.changing(write=record != old):
            self.state.settle(record)
        return record

    def component(self, op: Op, record: Record, changed: tuple[Change, ...] = ()) -> Record:
        with self._step(op, record, changed), self.state.changing():
            self.state.settle(record)
        return record

    def create(self, op: Op, record: Record, changed: tuple[Change, ...], replaced: Record | None = None) -> Record:
        """Also the first half of a replacement: the old one awaits its deletion in the state."""
        handler = self.handler(record.type)
        with self._step(op, record, changed):
            if self.dry_run:
                notes = ()
                id, outputs = "", {**plain(record.inputs), **dict.fromkeys(handler.outputs, UNKNOWN)}
            else:
                notes = (self.state.begin("creating", record),)
                with self._undone_by_refusal(*notes):
                    id, outputs = handler.create(record.name, plain(record.inputs))
            record = self._with_outputs(record, id, outputs)
            with self.state.changing(*notes):
                if replaced:
                    self.state.amend(replaced, replace(replaced, delete=True))
                self.state.settle(record)
        return record

    def update(self, record: Record, old: Record, names: tuple[str, ...]) -> Record:
        handler, inputs = self.handler(record.type), plain(record.inputs)
        with self._step("update", record, changes(old.inputs, record.inputs, names)):
            if self.dry_run:
                notes = ()
                outputs = {name: value for name, value in plain(old.outputs).items() if name not in names}
                outputs |= inputs
            else:
                notes = (self.state.begin("updating", replace(record, id=old.id, unsettled=names)),)
                try:
                    outputs = handler.update(old.id, plain(old.outputs), inputs)
                except ApiError:
                    with self.state.changing(*notes):
                        self.state.amend(old, replace(old, unsettled=names))
                    raise
            record = self._with_outputs(record, old.id, outputs)
            with self.state.changing(*notes):
                self.state.settle(record)
        return record

    def delete(self, record: Record, *, replaced: bool = False) -> None:
        if record.external:
            with self.state.changing():
                self.state.drop(record)
            return
        retained = record.custom and record.retain_on_delete
        with self._step("delete", record, replaced=replaced, retained=retained):
            notes = ()
            if record.custom and not retained and not self.dry_run:
                notes = (self.state.begin("deleting", record),)
                with self._undone_by_refusal(*notes):
                    self.handler(record.type).delete(record.id, plain(record.outputs))
            with self.state.changing(*notes):
                self.state.drop(record)

    def delete_all(self, records: Iterable[Record]) -> None:
        """Last ones first. Protected ones are refused before anything is deleted."""
        doomed = tuple(records)
        for record in doomed:
            if record.protect and not record.delete:
                self.fail("is protected: take protect=True off it before it can be deleted", record.urn)
        for record in reversed(doomed):
            with self.reporting(record.urn):
                self.delete(record, replaced=record.delete)

    def read(self, record: Record, id: str | Unknown, old: Record | None, op: Op = "read") -> Record:
        """Looks at what exists: to refer to it, or to take it over (op "import", then `external` is not set)."""
        handler = self.handler(record.type)
        with self._step(op, record):
            outputs: Props | None = {}
            if not isinstance(id, Unknown):
                outputs = handler.read(id, {} if op == "import" else plain(record.inputs))
            if outputs is None:
                raise ApiError(f"there is no {record.type} with id {id!r}")
            if op == "import":
                # As they are, of what the program sets: the rest it leaves to the provider.
                inputs = {
                    name: Secret(outputs[name]) if has_secret(value) else outputs[name]
                    for name, value in record.inputs.items()
                    if name in outputs
                }
                record = replace(record, inputs=inputs)
            record = replace(record, external=op == "read")
            record = self._with_outputs(record, "" if isinstance(id, Unknown) else id, outputs)
            with self.state.changing():
                if old and not old.external:
                    self.state.amend(old, replace(old, delete=True))
                self.state.settle(record)
        return record

    def refresh(self, record: Record) -> None:
        """Takes over what was changed behind our back, and forgets what is gone."""
        handler = self.handler(record.type)
        before = plain(record.outputs)
        after = handler.read(record.id, before)
        if after is None:
            with self._step("refresh", record, gone=True), self.state.changing():
                self.state.drop(record)
            return
        drifted = [name for name in {**before, **after} if not same(before.get(name), after.get(name))]
        inputs = {
            name: after[name] if name in drifted and name in after else value for name, value in record.inputs.items()
        }
        fresh = self._with_outputs(replace(record, inputs=inputs), record.id, after)
        fresh = replace(fresh, unsettled=record.unsettled)
        op = "refresh" if drifted else "same"
        changed = changes(record.outputs, fresh.outputs, drifted)
        with self._step(op, record, changed), self.state.changing(write=fresh != record):
            self.state.amend(record, fresh)

    # After a run that was killed

    def recover(self) -> None:
        """Finds out how the operations ended that were under way when a run was killed."""
        for note, (operation, record) in self.state.pending.items():
            with self.reporting(record.urn):
                if self.dry_run:
                    self.warn(f"an earlier run was interrupted while {operation} it; up will look into it", record.urn)
                elif operation == "creating":
                    self._adopt(note, record)
                elif operation == "updating":
                    with self.state.changing(note):
                        if old := self.state.find(record.urn):
                            self.state.amend(old, replace(old, unsettled=record.unsettled))
                else:
                    self._look_for_deleted(note, record)

    def _adopt(self, note: int, record: Record) -> None:
        try:
            found = self.handler(record.type).adopt(record.name, plain(record.inputs))
        except ApiError as error:
            found = None
            self.warn(
                f"an earlier run was interrupted while creating it: it may exist unknown to us ({error})", record.urn
            )
        with self.state.changing(note):
            if found is None:
                return
            adopted = self._with_outputs(record, *found)
            if (old := self.state.find(record.urn)) and old.id != adopted.id:
                self.state.amend(old, replace(old, delete=True))
            elif old:
                self.state.drop(old)
            self.state.adopt(adopted)

    def _look_for_deleted(self, note: int, record: Record) -> None:
        gone = self.handler(record.type).read(record.id, plain(record.outputs)) is None
        with self.state.changing(note):
            for each in self.state.records:
                if gone and (each.urn, each.id) == (record.urn, record.id):
                    self.state.drop(each)

    @contextlib.contextmanager
    def _undone_by_refusal(self, *notes: int) -> Iterator[None]:
        """A refusal means that nothing was done. Anything else leaves the note for the next run to look into."""
        try:
            yield
        except ApiError:
            with self.state.changing(*notes):
                pass
            raise
