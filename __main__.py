"""The program: reads settings and secrets from the stack's configuration, declares one Site, exports its outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG

import settings as declared
import wiring

PROJECT = Path(__file__).resolve().parent
_SECTIONS = tuple(declared.Settings.model_fields)


def read_settings(config: pulumi.Config) -> declared.Settings:
    """Every section of the stack's configuration, checked."""
    return declared.load({**_unknown_sections(), **{name: _section(config, name) for name in _SECTIONS}})


def _section(config: pulumi.Config, name: str) -> object:
    try:
        return config.get_object(name)
    except pulumi.ConfigTypeError:
        return config.get(name)  # text where a section belongs: the settings say so


def _unknown_sections() -> dict[str, object]:
    """What this project's configuration holds beside its sections: a misspelt one, most likely."""
    written = {*CONFIG.get(), *pulumi.runtime.get_config_env()}
    names = {key.partition(":")[2] for key in written if key.partition(":")[0] == pulumi.get_project()}
    return dict.fromkeys(sorted(names - {*_SECTIONS, "secrets"}), "")


def read_secrets(config: pulumi.Config, environment: Mapping[str, str]) -> dict[str, pulumi.Output[str]]:
    """The app's secrets by name, each a secret Output: their plain values are checked here and go no further."""
    plain = declared.check_secrets(config.get_object("secrets"), environment)
    if plain and not pulumi.runtime.is_config_secret(f"{pulumi.get_project()}:secrets"):
        raise declared.SettingsError(
            [
                f"secrets: {', '.join(sorted(plain))} stand in plain text in the stack file; do: remove the section, "
                "change those secrets where they come from, then `pulumi config set --secret --path secrets.NAME`"
            ]
        )
    return {name: pulumi.Output.secret(value) for name, value in plain.items()}


def main() -> None:
    """Declare the site and export what users ask for."""
    config = pulumi.Config()
    settings = read_settings(config)
    secrets = read_secrets(config, settings.app.environment)
    missing = declared.missing_credentials(
        settings.host.cloud,
        os.environ,
        lambda key: pulumi.Config(key.split(":")[0]).get(key.split(":")[1]) is not None,
        by_itself={
            **({"edge.at_destroy: restore": "keep"} if settings.edge.at_destroy == "restore" else {}),
            **({"edge.purge_after_release: true": "false"} if settings.edge.purge_after_release else {}),
        },
    )
    if missing:
        raise declared.SettingsError(missing)
    address = wiring.operator_address(settings)
    site = wiring.site("site", settings, secrets, folder=PROJECT, address=address)
    pulumi.export("url", site.url)
    pulumi.export("ipv4", site.ipv4)
    pulumi.export("ipv6", site.ipv6)
    pulumi.export("host_id", site.host_id)
    pulumi.export("host_key", pulumi.Output.unsecret(site.host_key))
    pulumi.export("deploy_key", pulumi.Output.secret(site.deploy_key))
    pulumi.export("client_ca", site.client_ca)
    pulumi.export("operator_address", address)
    pulumi.export("certificate_expires", site.certificate_expires)


try:
    main()
except wiring.REFUSALS as error:
    raise pulumi.RunError(str(error)) from None
