"""Who may reach the machine."""

from __future__ import annotations

from pydantic import Field

from settings.fields import Listed, OperatorRanges, SshPublicKey
from settings.section import Section


class Operator(Section):
    """Who may reach the machine by SSH (as user `deploy`, by key only)."""

    ranges: OperatorRanges = Field(
        description="Addresses and ranges that reach SSH, or `current`: the address that the program is run from, "
        "so that a CI runner can release.",
    )
    ssh_keys: Listed[SshPublicKey] = Field(
        default=(),
        description="Public keys that may log in. The program has its own key and needs none of these.",
    )
