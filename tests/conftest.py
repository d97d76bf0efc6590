"""What holds for all tests: none fails by its time, an example of hypothesis neither."""

from __future__ import annotations

import logging

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A refused program leaves futures that nobody asks. When they are collected, asyncio prints their tracebacks, for which
# Python 3.11 parses code; in the midst of another parse it does not survive that (python/cpython#106905).
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
