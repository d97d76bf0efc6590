"""cloudflare:index:ZoneSetting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rehearsal.cloud.zone import SETTINGS
from rehearsal.providers.account import Stored
from rehearsal.providers.base import UNKNOWN, ApiError, Failure, Property, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.shapes import known, now


class ZoneSetting(Stored):
    """A setting that every zone has anyway: creating it sets it, deleting it leaves it as it is.

    Source: terraform-provider-cloudflare v5, internal/services/zone_setting/{schema,resource}.go. The settings and
    their values are those that the stand-in edge knows.
    """

    token = "cloudflare:index/zoneSetting:ZoneSetting"
    cloud = "cloudflare"
    collection = "cloudflare/settings"
    refused = ("enabled",)  # the SSL recommender's
    inputs: ClassVar = {
        "zoneId": Property(required=True, replace=True),
        "settingId": Property(required=True, replace=True),
        "value": Property(kind=(str, int, float, list, dict), required=True),
        "enabled": Property(kind=bool),
    }
    outputs: ClassVar = {
        "editable": Property(kind=bool),
        "modifiedOn": Property(),
        "timeRemaining": Property(kind=float),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        id, value = news["settingId"], news["value"]
        if not known(id):
            return
        if id not in SETTINGS:
            rehearsed = f"rehearsed ones: {', '.join(SETTINGS)}"
            yield Failure("settingId", f"Unrecognized zone setting name: {id} (1006); {rehearsed}")
        elif value is not UNKNOWN and value not in SETTINGS[id].choices:
            allowed = f"allowed: {', '.join(SETTINGS[id].choices)}"
            yield Failure("value", f"Invalid value for zone setting {id} (1007): {value!r}; {allowed}")

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        return inputs["settingId"], self._set(inputs)

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return self.create("", inputs)[1]

    def identity(self, import_id: str) -> str:
        return import_id.rpartition("/")[2]

    def read(self, id: str, outputs: Props) -> Props | None:
        """`id` is the setting's; an import's is `<zone id>/<setting id>`."""
        zone_id, _, setting_id = id.rpartition("/") if "/" in id else (outputs.get("zoneId"), "", id)
        if not zone_id:
            raise ApiError(f'invalid ID {id!r}: expected "<zone_id>/<setting_id>"')
        api.zone_name(self.world, zone_id, "GET", f"settings/{setting_id}")
        found = super().read(f"{zone_id}.{setting_id}", outputs)
        if found or setting_id not in SETTINGS:
            return found
        given = {"zoneId": zone_id, "settingId": setting_id}
        return {**given, "value": SETTINGS[setting_id].default, "editable": True}

    def delete(self, id: str, outputs: Props) -> None:
        """Nothing: the zone keeps the setting as it is."""

    def _set(self, inputs: Props) -> Props:
        zone_id, setting_id = inputs["zoneId"], inputs["settingId"]
        api.zone_name(self.world, zone_id, "PATCH", f"settings/{setting_id}")
        id = f"{zone_id}.{setting_id}"
        before = self.world.store.get(self.collection, id)
        facts = {"zone_id": zone_id, "setting_id": setting_id, "value": inputs["value"]}
        outputs = self._keep(id, {**inputs, "editable": True, "modifiedOn": now()}, **facts)
        try:
            api.publish(self.world)
        except ApiError:
            if before is None:
                self.world.store.delete(self.collection, id)
            else:
                self.world.store.put(self.collection, id, before)
            raise
        return outputs

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None  # setting it once more is the same
