"""random:index:RandomPassword.

Source: terraform-provider-random, internal/provider/resource_password.go and internal/random/string.go.
"""

from __future__ import annotations

import secrets
import string
from typing import ClassVar

from rehearsal.providers.base import Diff, Failure, Property, Props, Resource
from rehearsal.providers.shapes import known, not_rehearsed

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
# `number` is the deprecated name of `numeric`.
_NOT_REHEARSED = ("number",)


class RandomPassword(Resource):
    """Every change of it makes a new one. The real one's bcryptHash is left out: nothing here uses it."""

    token = "random:index/randomPassword:RandomPassword"
    inputs: ClassVar = {
        "length": Property(kind=int, required=True, replace=True),
        "keepers": Property(kind=dict, replace=True),
        "lower": Property(kind=bool, replace=True, default=True),
        "upper": Property(kind=bool, replace=True, default=True),
        "numeric": Property(kind=bool, replace=True, default=True),
        "number": Property(kind=bool, replace=True, computed=True),
        "special": Property(kind=bool, replace=True, default=True),
        "overrideSpecial": Property(replace=True),
        "minLower": Property(kind=int, replace=True, default=0),
        "minUpper": Property(kind=int, replace=True, default=0),
        "minNumeric": Property(kind=int, replace=True, default=0),
        "minSpecial": Property(kind=int, replace=True, default=0),
    }
    outputs: ClassVar = {"result": Property(secret=True)}

    def check(self, news: Props) -> tuple[Props, list[Failure]]:
        checked, failures = super().check(news)
        failures += not_rehearsed(checked, _NOT_REHEARSED)
        if failures:
            return checked, failures
        minima = [checked[name] for name in ("minLower", "minUpper", "minNumeric", "minSpecial")]
        if known(checked["length"], *minima) and checked["length"] < max(1, sum(minima)):
            failures.append(
                Failure(
                    "length", f"must be at least 1 and the sum of the minima, {sum(minima)}, not {checked['length']}"
                )
            )
        if not any(checked[name] for name in ("lower", "upper", "numeric", "special")):
            failures.append(Failure("numeric", "one of lower, upper, numeric and special must be true"))
        return checked, failures

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        special = inputs.get("overrideSpecial") or SPECIAL
        classes = {
            "Lower": string.ascii_lowercase,
            "Upper": string.ascii_uppercase,
            "Numeric": string.digits,
            "Special": special,
        }
        everything = "".join(characters for kind, characters in classes.items() if inputs[kind.lower()])
        chosen = [
            secrets.choice(characters) for kind, characters in classes.items() for _ in range(inputs[f"min{kind}"])
        ]
        chosen += [secrets.choice(everything) for _ in range(inputs["length"] - len(chosen))]
        secrets.SystemRandom().shuffle(chosen)
        return "none", {**inputs, "result": "".join(chosen)}

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        if old_inputs.get("overrideSpecial") == "" and news.get("overrideSpecial") is None:
            return Diff(found.changes, tuple(name for name in found.replaces if name != "overrideSpecial"))
        return found

    def read(self, id: str, outputs: Props) -> Props | None:
        """Imported by its value, it is what the defaults could have made."""
        defaults = {name: row.default for name, row in self.inputs.items() if row.default is not None}
        return outputs or {**defaults, "length": len(id), "result": id}

    def identity(self, import_id: str) -> str:
        return "none"  # its value is no id to be shown

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return {**inputs, "result": old_outputs["result"]}

    def delete(self, id: str, outputs: Props) -> None:
        pass

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return None
