"""Which case a number stands for."""

from __future__ import annotations

import random

from tests.provisioning.smuggling import http1, http2
from tests.provisioning.smuggling.cases import Case

HTTP2_SHARE = 0.2


def case(seed: int, number: int, *, with_http2: bool) -> Case:
    """`with_http2` lets a share of the cases be of that protocol."""
    rng = random.Random(f"{seed}/{number}")
    if with_http2 and rng.random() < HTTP2_SHARE:
        return http2.case(number, rng)
    return http1.case(number, rng)
