"""Handlers driven as an engine drives them."""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.providers.base import Diff, Props, Resource


class Refused(AssertionError):
    """check() found something: `property: reason` on each line."""


@dataclass
class Made:
    """A resource that exists."""

    handler: Resource
    id: str
    inputs: Props
    outputs: Props

    def diff(self, **changes: object) -> Diff:
        return self.handler.diff(self.id, self.inputs, self.outputs, checked(self.handler, {**self.inputs, **changes}))

    def update(self, **changes: object) -> Props:
        news = checked(self.handler, {**self.inputs, **changes})
        self.outputs = self.handler.update(self.id, self.outputs, news)
        self.inputs = news
        return self.outputs

    def read(self) -> Props | None:
        return self.handler.read(self.id, self.outputs)

    def delete(self) -> None:
        self.handler.delete(self.id, self.outputs)


def checked(handler: Resource, inputs: Props) -> Props:
    news, failures = handler.check({name: value for name, value in inputs.items() if value is not None})
    if failures:
        raise Refused("\n".join(f"{failure.property}: {failure.reason}" for failure in failures))
    return news


def make(handler: Resource, logical: str = "it", /, **inputs: object) -> Made:
    news = checked(handler, inputs)
    id, outputs = handler.create(logical, news)
    return Made(handler, id, news, outputs)


def refusals(handler: Resource, /, **inputs: object) -> dict[str, str]:
    """What check() says, by property."""
    return {failure.property: failure.reason for failure in handler.check(inputs)[1]}
