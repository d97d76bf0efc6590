"""The package as the engine meets it: the component, its schema, and refusals told as bad inputs are."""

import pulumi
from pulumi.errors import InputPropertiesError, InputPropertyErrorDetails
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.experimental.util import camel_case
from pulumi.provider.server import ComponentInitError

import wiring
from package.component import Site
from settings import SettingsError

NAME = "flask-origin"


class Package(ComponentProvider):
    """One component: Site."""

    def __init__(self, version: str) -> None:
        super().__init__([Site], NAME, version=version)

    def construct(
        self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Raises InputPropertiesError or RunError, without a traceback, for what the user can mend."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            # The engine shows the value of a property that has a problem.
            if isinstance(error.inner, SettingsError) and "secrets" not in str(error.inner):
                raise InputPropertiesError("", [_property(line) for line in error.inner.lines]) from None
            if isinstance(error.inner, wiring.REFUSALS):
                raise pulumi.RunError(str(error.inner)) from None
            raise


def _property(line: str) -> InputPropertyErrorDetails:
    """One line of a SettingsError, its key as the caller's language writes it."""
    key, _, reason = line.partition(": ")
    return {"property_path": ".".join(map(camel_case, key.split("."))), "reason": reason}
