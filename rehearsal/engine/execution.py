"""How each kind of step is done: the provider is called and the state kept, in that order and safe against kills."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace

from rehearsal.providers.base import ApiError, Diff, Failure, Props, Resource, Unknown, differing, has_unknown, same

from .run import Run
from .state import Operation, Record, State
from .steps import Change, Op, changes
from .values import Secret, Unsupported, has_secret, plain


class Execution:
    """Called from many threads; providers work side by side.

    In a preview the same steps change a state that is never written, no provider does anything but look, and what
    only doing could tell is UNKNOWN.
    """

    def __init__(self, run: Run, state: State, resources: Mapping[str, Resource]) -> None:
        self.run = run
        self.state = state
        self._resources = resources
        for record in state.records:
            run.redact.learn([record.inputs, record.outputs])

    def handler(self, type: str) -> Resource:
        """Raises Unsupported."""
        if type in self._resources:
            return self._resources[type]
        if type.startswith("pulumi:providers:"):
            return _PROVIDER
        raise Unsupported(f"resources of type {type}")

    def lent(self, provider: str, names: Container[str]) -> Props:
        """What things take from their explicit provider ("urn::id", or "") unless they say otherwise: its region."""
        record = self.state.find(provider.rpartition("::")[0])
        region = plain(record.inputs).get("region") if record else None
        return {"region": region} if region and "region" in names else {}

    def checked(self, record: Record) -> Record:
        """With the inputs that the provider made of the program's. Raises ApiError."""
        handler = self.handler(record.type)
        news, failures = handler.check({**self.lent(record.provider, handler.inputs), **plain(record.inputs)})
        if failures:
            raise ApiError("\n".join(f"{failure.property}: {failure.reason}" for failure in failures))
        if has_unknown(news) and not self.run.dry_run:
            raise ApiError("an input is still unknown")
        inputs: Props = {}
        for name, value in news.items():
            given = record.inputs.get(name)
            if has_secret(given):
                # As given, if the provider left it alone, so that secrets within stay where they are. The
                # provider's own idea of what is secret goes for outputs only: the SDK has marked the inputs.
                value = given if same(plain(given), value) else Secret(value)
            inputs[name] = value
        return replace(record, inputs=inputs)

    def component(self, op: Op, record: Record, changed: tuple[Change, ...] = ()) -> Record:
        with self.run.step(op, record, changed), self.state.changing():
            self.state.settle(record)
        return record

    def same(self, record: Record, old: Record) -> Record:
        if record.custom:
            record = self._with_outputs(record, old.id, plain(old.outputs))
        with self.run.step("same", record), self.state.changing(write=record != old):
            self.state.settle(record)
        return record

    def create(self, op: Op, record: Record, changed: tuple[Change, ...], replaced: Record | None = None) -> Record:
        """Also the first half of a replacement: the old one awaits its deletion in the state."""
        handler, inputs = self.handler(record.type), plain(record.inputs)
        with self.run.step(op, record, changed), self._noted("creating", record) as note:
            if self.run.dry_run:
                id, outputs = "", handler.foreseen(inputs)
            else:
                id, outputs = handler.create(record.name, inputs)
            record = self._with_outputs(record, id, outputs)
            with self.state.changing(*note):
                if replaced:
                    self.state.amend(replaced, replace(replaced, delete=True))
                self.state.settle(record)
        return record

    def update(self, record: Record, old: Record, diff: Diff) -> Record:
        """In place."""
        names = diff.changes
        handler, inputs, outputs = self.handler(record.type), plain(record.inputs), plain(old.outputs)
        halfway = replace(old, unsettled=names)
        changed = changes(old.inputs, record.inputs, names)
        with self.run.step("update", record, changed), self._noted("updating", halfway) as note:
            if self.run.dry_run:
                outputs = diff.foreseen(outputs, inputs)
            else:
                try:
                    outputs = handler.update(old.id, outputs, inputs)
                except ApiError:
                    with self.state.changing(write=False):
                        self.state.amend(old, halfway)
                    raise
            record = self._with_outputs(record, old.id, outputs)
            with self.state.changing(*note):
                self.state.settle(record)
        return record

    def delete(self, record: Record, *, replaced: bool = False) -> None:
        """Nothing is done about components and what is to be retained, and nothing said of what was only read."""
        retained = record.custom and record.retain_on_delete
        if record.external:
            step = contextlib.nullcontext()
        else:
            step = self.run.step("delete", record, replaced=replaced, retained=retained)
        if not record.custom or retained or record.external:
            with step, self.state.changing():
                self.state.drop(record)
            return
        with step, self._noted("deleting", record) as note:
            if not self.run.dry_run:
                self.handler(record.type).delete(record.id, plain(record.outputs))
            with self.state.changing(*note):
                self.state.drop(record)

    def delete_all(self, records: Iterable[Record]) -> None:
        """Last ones first. Protected ones are refused before anything is deleted. Raises Failed."""
        doomed = tuple(records)
        for record in doomed:
            if record.protect and not record.delete:
                self.run.fail("is protected: take protect=True off it before it can be deleted", record.urn)
        for record in reversed(doomed):
            with self.run.reporting(record.urn):
                self.delete(record, replaced=record.delete)

    def read(self, record: Record, id: str | Unknown, old: Record | None) -> Record:
        """Looks at what is none of ours, to refer to it."""
        with self.run.step("read", record):
            record = replace(record, external=True)
            if isinstance(id, Unknown):
                return self._take_in(record, "", {}, old)
            outputs = self._existing(record, id, plain(record.inputs))
            return self._take_in(record, self.handler(record.type).identity(id), outputs, old)

    def take_over(self, record: Record, id: str, old: Record | None) -> Record:
        """Makes ours what exists, as it is; what the program wants otherwise is for an update to change."""
        with self.run.step("import", record):
            handler, outputs = self.handler(record.type), self._existing(record, id, {})
            inputs = {
                name: Secret(value) if has_secret(record.inputs.get(name)) else value
                for name, value in handler.found(outputs).items()
            }
            return self._take_in(replace(record, inputs=inputs), handler.identity(id), outputs, old)

    def refresh(self, record: Record) -> None:
        """Notes what was changed behind our back, and forgets what is gone. A component is as its parts are."""
        if not record.custom:
            with self.run.step("same", record):
                return
        before = plain(record.outputs)
        after = self.handler(record.type).read(record.id, before)
        if after is None:
            with self.run.step("refresh", record, gone=True), self.state.changing():
                self.state.drop(record)
            return
        drifted = differing(before, after)
        inputs = dict(record.inputs)
        for name in inputs.keys() & after.keys() & set(drifted):
            inputs[name] = Secret(after[name]) if has_secret(inputs[name]) else after[name]
        fresh = self._with_outputs(replace(record, inputs=inputs), record.id, after)
        fresh = replace(fresh, unsettled=record.unsettled)
        # As the real engine tells it: what the provider would change back. Other outputs are only noted.
        told = self.handler(record.type).diff(record.id, plain(fresh.inputs), after, plain(record.inputs)).changes
        op, changed = ("refresh", changes(record.outputs, fresh.outputs, drifted)) if told else ("same", ())
        with self.run.step(op, record, changed), self.state.changing(write=fresh != record):
            self.state.amend(record, fresh)

    def recover(self) -> None:
        """Finds out how those operations ended during which an earlier run was killed."""
        for note, (operation, record) in self.state.pending.items():
            with self.run.reporting(record.urn):
                if self.run.dry_run:
                    self.run.warn(f"an earlier run was killed while {operation} it; `up` will look into it", record.urn)
                elif operation == "creating":
                    self._adopt(note, record)
                elif operation == "updating":
                    with self.state.changing(note):
                        if old := self.state.find(record.urn):
                            self.state.amend(old, record)
                else:
                    gone = self.handler(record.type).read(record.id, plain(record.outputs)) is None
                    with self.state.changing(note):
                        for each in self.state.records:
                            if gone and (each.urn, each.id) == (record.urn, record.id):
                                self.state.drop(each)

    def _adopt(self, note: int, record: Record) -> None:
        found = None
        try:
            found = self.handler(record.type).adopt(record.name, plain(record.inputs))
        except ApiError as error:
            told = "an earlier run was killed while creating it, so it may exist without being known"
            self.run.warn(f"{told} ({error})", record.urn)
        with self.state.changing(note):
            # What is known already is the one to be replaced: then its successor was not made.
            known = {each.id for each in self.state.records if each.urn == record.urn}
            if found and found[0] not in known:
                if old := self.state.find(record.urn):
                    self.state.amend(old, replace(old, delete=True))
                self.state.adopt(self._with_outputs(record, *found))

    def _existing(self, record: Record, id: str, known: Props) -> Props:
        if (outputs := self.handler(record.type).read(id, known)) is None:
            raise ApiError(f"there is no {record.type} with id {id!r}")
        return outputs

    def _take_in(self, record: Record, id: str, outputs: Props, old: Record | None) -> Record:
        record = self._with_outputs(record, id, outputs)
        with self.state.changing():
            if old and not old.external:
                self.state.amend(old, replace(old, delete=True))
            self.state.settle(record)
        return record

    def _with_outputs(self, record: Record, id: str, outputs: Props) -> Record:
        """An output is secret when its input is, when the provider says so, or when the program does."""
        handler = self.handler(record.type)
        secret = {*handler.secret_outputs, *record.additional_secret_outputs}
        secret.update(name for name, value in record.inputs.items() if has_secret(value))
        marked = {name: Secret(value) if name in secret else value for name, value in outputs.items()}
        self.run.redact.learn(marked)
        return replace(record, id=id, outputs=marked, unsettled=())

    @contextlib.contextmanager
    def _noted(self, operation: Operation, record: Record) -> Iterator[tuple[int, ...]]:
        """Notes what is under way. Whoever records its end takes the note away with the same write.

        A refusal means that nothing was done. Anything else leaves the note for the next run to look into.
        """
        if self.run.dry_run:
            yield ()
            return
        note = self.state.begin(operation, record)
        try:
            yield (note,)
        except ApiError:
            with self.state.changing(note):
                pass
            raise


class _Provider(Resource):
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


_PROVIDER = _Provider()
