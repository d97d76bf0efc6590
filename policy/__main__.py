"""The policy pack: the rules, given to the engine. Every one is mandatory: a stack that breaks it is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

# The engine starts this file with its own folder first on sys.path; the project's is one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy import rules
from provisioning.ranges import FALLBACK

FIREWALLS = (rules.FIREWALL, rules.SECURITY_GROUP, rules.SECURITY_GROUP_RULE, rules.INGRESS_RULE)


def known(container: Any, key: Any) -> Any:
    """A value with all that is in it; UNKNOWN where the engine does not know it yet."""
    try:
        value = container[key]
    except UnknownValueError:
        return rules.UNKNOWN
    if isinstance(value, Mapping):
        return {name: known(value, name) for name in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [known(value, index) for index in range(len(value))]
    return value


def properties(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: known(given, name) for name in given}


def of(
    name: str,
    types: Iterable[str],
    rule: Callable[[str, rules.Properties], Iterator[str]],
) -> Policy:
    """A policy for resources of some types. The rule's first line says what it holds them to."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type in types:
            for problem in rule(args.resource_type, properties(args.props)):
                report(problem, None)

    return ResourceValidationPolicy(name, str(rule.__doc__), validate)


def of_the_stack(name: str, rule: Callable[[Sequence[rules.Made]], Iterator[rules.Problem]]) -> Policy:
    """A policy for all resources together."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for urn, problem in rule([made(resource) for resource in args.resources]):
            report(problem, urn)

    return StackValidationPolicy(name, str(rule.__doc__), validate)


def made(resource: PolicyResource) -> rules.Made:
    sources = {
        key: [rules.Made(source.urn, source.resource_type, {}) for source in found]
        for key, found in resource.property_dependencies.items()
    }
    return rules.Made(resource.urn, resource.resource_type, properties(resource.props), sources)


def web(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type in FIREWALLS:
        cloudflare = args.get_config().get("ranges", FALLBACK.all)
        for problem in rules.web(args.resource_type, properties(args.props), cloudflare):
            report(problem, None)


POLICIES = [
    ResourceValidationPolicy(
        "web-from-cloudflare-only",
        str(rules.web.__doc__),
        web,
        config_schema=PolicyConfigSchema(
            {
                "ranges": {
                    "type": "array",
                    "items": {"type": "string"},
                    "default": list(FALLBACK.all),
                    "description": "Cloudflare's ranges, https://www.cloudflare.com/ips/",
                }
            }
        ),
    ),
    of("ssh-from-the-operator-only", FIREWALLS, rules.ssh),
    of("instance-metadata-v2", [rules.INSTANCE], rules.metadata),
    of("disks-encrypted", [rules.INSTANCE, rules.VOLUME], rules.disks),
    of("zone-strict", [rules.ZONE_SETTING], rules.zone),
    of_the_stack("records-proxied", rules.records),
    of_the_stack("droplets-behind-a-firewall", rules.firewalls),
]

if __name__ == "__main__":
    PolicyPack("flask-origin", POLICIES, EnforcementLevel.MANDATORY)
