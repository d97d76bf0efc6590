"""The SDK's two counterparts, in process: the resource monitor's and the engine's RPCs as plain methods.

What is not supported is refused by name here, before anything is done. `GetDeploymentInfo` names the few features
that are; the SDK itself refuses what needs the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import alias_pb2, engine_pb2, resource_pb2

from rehearsal.providers.base import UNKNOWN, ApiError

from .deployment import Alias, Deployment, Goal
from .run import Run
from .state import Record
from .urns import urn_of
from .values import Unsupported, decode, decode_value, encode

FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "replacementTrigger": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
}

# Fields of a request that must be empty, and what the program would have to do without.
REFUSED = {
    "remote": "remote components",
    "transforms": "transforms",
    "state_migrations": "state migrations",
    "packageRef": "parameterized packages",
    "deletedWith": "deleted_with",
    "replace_with": "replace_with",
    "envVarMappings": "env_var_mappings",
    "hideDiffs": "hide_diffs",
}


class InvokeFailed(grpc.RpcError):
    """In the shape that lets the program catch a failed invoke, as it can with the real engine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self._reason = reason

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self._reason


def _refused(what: str) -> Callable[[Monitor, Any], NoReturn]:
    def refuse(self: Monitor, request: Any) -> NoReturn:
        with self.run.reporting():
            raise Unsupported(what)
        raise AssertionError("reporting() raises")

    return refuse


class Monitor:
    """Stands in for the gRPC stub of the resource monitor."""

    def __init__(self, run: Run, deployment: Deployment, *, project: str, stack: str) -> None:
        self.run = run
        self._deployment = deployment
        self._project = project
        self._stack = stack

    Call = _refused("methods of remote components")
    ExistsResource = _refused("exists()")
    RegisterPackage = _refused("parameterized packages")
    RegisterStackTransform = _refused("transforms")
    RegisterStackInvokeTransform = _refused("invoke transforms")
    RegisterResourceHook = _refused("resource hooks")
    RegisterErrorHook = _refused("error hooks")

    def GetDeploymentInfo(self, request: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:
        return resource_pb2.DeploymentInfo(
            project=self._project,
            stack=self._stack,
            dryRun=self.run.dry_run,
            supportedFeatures=list(FEATURES.values()),
        )

    def SupportsFeature(self, request: resource_pb2.SupportsFeatureRequest) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:
        try:
            answer = encode(self._deployment.invoke(request.tok, decode(request.args), request.provider))
        except (ApiError, Unsupported) as error:
            raise InvokeFailed(str(error)) from error
        return resource_pb2.ResourceInvokeResponse(**{"return": answer})  # pyright: ignore[reportArgumentType]

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> resource_pb2.RegisterResourceResponse:
        urn = self._urn(request)
        with self.run.reporting(urn):
            goal = _goal(request, urn)
        record = self._deployment.register(goal)
        # A component's outputs are the program's own, and come later.
        outputs = record.outputs if record.custom else {}
        return resource_pb2.RegisterResourceResponse(urn=urn, id=record.id, object=encode(outputs))

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:
        urn = self._urn(request)
        with self.run.reporting(urn):
            _refuse(request, {"packageRef": REFUSED["packageRef"]})
            record = Record(
                urn=urn,
                type=request.type,
                custom=True,
                inputs=decode(request.properties),
                parent=request.parent,
                provider=request.provider,
                dependencies=tuple(sorted(request.dependencies)),
                additional_secret_outputs=tuple(request.additionalSecretOutputs),
            )
        record = self._deployment.read(record, UNKNOWN if request.id == rpc.UNKNOWN else request.id)
        return resource_pb2.ReadResourceResponse(urn=urn, id=record.id, properties=encode(record.outputs))

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> empty_pb2.Empty:
        with self.run.reporting(request.urn):
            outputs = decode(request.outputs)
        self._deployment.record_outputs(request.urn, outputs)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: empty_pb2.Empty) -> empty_pb2.Empty:
        """The program is through, and nothing went wrong in it."""
        self._deployment.finish()
        return empty_pb2.Empty()

    def _urn(self, request: resource_pb2.RegisterResourceRequest | resource_pb2.ReadResourceRequest) -> str:
        return urn_of(self._stack, self._project, request.parent, request.type, request.name)


class Messages:
    """Stands in for the gRPC stub of the engine: pulumi.log ends here."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:
        if request.severity == engine_pb2.WARNING:
            self._run.warn(request.message, request.urn)
        elif request.severity != engine_pb2.DEBUG:
            kind = "error" if request.severity == engine_pb2.ERROR else "info"
            self._run.say(kind, request.message, request.urn)
        return empty_pb2.Empty()

    def RequirePulumiVersion(
        self, request: engine_pb2.RequirePulumiVersionRequest
    ) -> engine_pb2.RequirePulumiVersionResponse:
        """There is no CLI whose version could be wrong."""
        return engine_pb2.RequirePulumiVersionResponse()


def _goal(request: resource_pb2.RegisterResourceRequest, urn: str) -> Goal:
    _refuse(request, REFUSED)
    if request.hooks.ByteSize():
        raise Unsupported("resource hooks")
    # "triggers[*]", which pulumi-command's own SDK asks for, is any element of that list: a change of the list.
    replace_on_changes = tuple(pattern.removesuffix("[*]") or "*" for pattern in request.replaceOnChanges)
    for pattern in (*request.ignoreChanges, *replace_on_changes):
        if set(pattern) & set(".[]*") and (pattern != "*" or pattern in request.ignoreChanges):
            raise Unsupported(f"patterns like {pattern!r} in ignore_changes and replace_on_changes")
    record = Record(
        urn=urn,
        type=request.type,
        custom=request.custom,
        inputs=decode(request.object),
        parent=request.parent,
        provider=request.provider,
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            name: tuple(sorted(request.propertyDependencies[name].urns))
            for name in sorted(request.propertyDependencies)
            if request.propertyDependencies[name].urns
        },
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        import_id=request.importId,
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        replacement_trigger=decode_value(request.replacement_trigger),
    )
    return Goal(
        record=record,
        aliases=tuple(map(_alias, request.aliases)),
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=replace_on_changes,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
    )


def _refuse(request: Any, refused: Mapping[str, str]) -> None:
    for name, what in refused.items():
        if getattr(request, name):
            raise Unsupported(what)


def _alias(alias: alias_pb2.Alias) -> Alias:
    spec = alias.spec
    return Alias(
        urn=alias.urn,
        name=spec.name,
        type=spec.type,
        project=spec.project,
        stack=spec.stack,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
    )
