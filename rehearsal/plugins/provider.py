"""One package's handlers behind the provider protocol of the official engine.

The engine is told that secrets are not understood here: it then unwraps them on the way in and marks what comes back
under the same name, which is what the handlers expect. `Handshake` is left out, since it would oblige to the contrary.
https://github.com/pulumi/pulumi/blob/master/proto/pulumi/provider.proto
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib.metadata import version
from typing import Any, NoReturn, TypeVar, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rehearsal.engine.values import Secret, Unsupported, decode, encode, plain
from rehearsal.providers.base import ApiError, Diff, Function, Props, Resource, differing
from rehearsal.providers.configuration import refused

_Kind = provider_pb2.PropertyDiff
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _answering(method: _Method) -> _Method:
    """What the stand-in cloud refuses is the call's error, with the code of an error that has none."""

    @wraps(method)
    def answer(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except (ApiError, Unsupported) as error:
            return context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return cast("_Method", answer)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the resources and functions of one package. Called from many threads."""

    def __init__(self, package: str, resources: Mapping[str, Resource], functions: Mapping[str, Function]) -> None:
        self._package = package
        self._resources = resources
        self._functions = functions
        self._lent: Props = {}  # what resources and functions take from the provider unless they say otherwise

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=version(f"pulumi-{self._package}"))

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    @_answering
    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return provider_pb2.CheckResponse(
            inputs=request.news, failures=_failures(refused(self._package, _plain(request.news)))
        )

    @_answering
    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Never a reason to replace what it made: a region is an input of each resource, too."""
        return _diff_response(Diff(tuple(differing(_plain(request.old_inputs), _plain(request.news)))), {}, {})

    @_answering
    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        given = _plain(request.args)
        self._lent = {"region": given["region"]} if given.get("region") else {}
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_answering
    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        handler = self._handler(request.type)
        lent = {name: value for name, value in self._lent.items() if name in handler.inputs}
        checked, failures = handler.check({**lent, **_plain(request.news)})
        return provider_pb2.CheckResponse(inputs=encode(checked), failures=_failures(failures))

    @_answering
    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        old, new = _plain(request.old_inputs), _plain(request.news)
        return _diff_response(self._handler(request.type).diff(request.id, old, _plain(request.olds), new), old, new)

    @_answering
    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        handler, inputs = self._handler(request.type), _plain(request.properties)
        id, outputs = ("", handler.foreseen(inputs)) if request.preview else handler.create(request.name, inputs)
        return provider_pb2.CreateResponse(id=id, properties=_marked(handler, outputs))

    @_answering
    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """Inputs are what was asked for, where the cloud has it otherwise as the cloud has it. An import knows of
        nothing yet: its inputs are all that the cloud tells."""
        handler, inputs, before = self._handler(request.type), _plain(request.inputs), _plain(request.properties)
        after = handler.read(request.id, before)
        if after is None:
            return provider_pb2.ReadResponse()
        if before:
            inputs |= {name: after[name] for name in differing(before, after) if name in inputs and name in after}
        else:
            inputs = handler.found(after)
        id = request.id if before else handler.identity(request.id)
        return provider_pb2.ReadResponse(id=id, properties=_marked(handler, after), inputs=encode(inputs))

    @_answering
    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        handler, old, new = self._handler(request.type), _plain(request.olds), _plain(request.news)
        if request.preview:
            outputs = handler.diff(request.id, _plain(request.old_inputs), old, new).foreseen(old, new)
        else:
            outputs = handler.update(request.id, old, new)
        return provider_pb2.UpdateResponse(properties=_marked(handler, outputs))

    @_answering
    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._handler(request.type).delete(request.id, _plain(request.properties))
        return empty_pb2.Empty()

    @_answering
    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        if request.tok not in self._functions:
            _not_rehearsed(f"the function {request.tok}")
        answer = self._functions[request.tok].invoke({**self._lent, **_plain(request.args)})
        return provider_pb2.InvokeResponse(**{"return": encode(answer)})  # pyright: ignore[reportArgumentType]

    def _handler(self, type: str) -> Resource:
        if type not in self._resources:
            _not_rehearsed(f"the type {type}")
        return self._resources[type]


def _not_rehearsed(what: str) -> NoReturn:
    raise ApiError(f"{what} is not rehearsed: the stand-in cloud has no such thing")


def _plain(properties: struct_pb2.Struct) -> Props:
    return plain(decode(properties))


def _marked(handler: Resource, outputs: Props) -> struct_pb2.Struct:
    secret = handler.secret_outputs
    return encode({name: Secret(value) if name in secret else value for name, value in outputs.items()})


def _failures(failures: Any) -> list[provider_pb2.CheckFailure]:
    # Beside a property's name the engine prints its value.
    return [provider_pb2.CheckFailure(reason=f"{failure.property}: {failure.reason}") for failure in failures]


def _diff_response(diff: Diff, old: Props, new: Props) -> provider_pb2.DiffResponse:
    changed = tuple(dict.fromkeys((*diff.changes, *diff.replaces)))

    def kind(name: str) -> provider_pb2.PropertyDiff.Kind.ValueType:
        match name in old, name in new, name in diff.replaces:
            case False, True, replaces:
                return _Kind.ADD_REPLACE if replaces else _Kind.ADD
            case True, False, replaces:
                return _Kind.DELETE_REPLACE if replaces else _Kind.DELETE
            case _, _, replaces:
                return _Kind.UPDATE_REPLACE if replaces else _Kind.UPDATE

    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=changed,
        replaces=diff.replaces,
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff={name: provider_pb2.PropertyDiff(kind=kind(name), inputDiff=True) for name in changed},
        hasDetailedDiff=True,
    )
