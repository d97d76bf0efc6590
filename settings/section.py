"""What every section of a stack's configuration is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Frozen, strict (no "5" for 5, no yes for text), and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def Seconds(low: int, high: int, default: int, description: str) -> Any:
    """A field that holds whole seconds within bounds."""
    return Field(default=default, ge=low, le=high, description=f"{description} Seconds.")
