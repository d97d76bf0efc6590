"""Where the official `pulumi` is not on PATH, its tests say so and are skipped; where it is, they all run."""

from __future__ import annotations

import pytest

from rehearsal.official import installed

needs_pulumi = pytest.mark.skipif(
    not installed(), reason="`pulumi` is not on PATH: the official engine is not driven (--engine pulumi)"
)
