"""Asking a cloud something before anything is declared, its refusal told by the setting that it is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class LookupFailed(ValueError):
    """A lookup was refused, or found nothing; the text names the setting, says why, and what to do."""


@contextlib.contextmanager
def asking(setting: str, do: str) -> Iterator[None]:
    """Turns what an invoke within it raises into LookupFailed. `do` completes "do: "."""
    try:
        yield
    except Exception as error:  # the SDK has nothing narrower
        reason = " ".join(str(error).partition(" failed: ")[2].split()) or str(error)
        raise LookupFailed(f"{setting}: {reason}; do: {do}") from None
