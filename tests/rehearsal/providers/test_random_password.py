"""Passwords: as long, as varied and as new as asked."""

from __future__ import annotations

import string

import pytest

from rehearsal.providers.base import Resource
from rehearsal.providers.random_password import SPECIAL
from tests.rehearsal.providers.driving import make, refusals


def test_a_password_has_the_length_and_the_classes_asked_for(resources: dict[str, Resource]) -> None:
    made = make(resources["RandomPassword"], length=64, special=False)
    assert len(made.outputs["result"]) == 64
    assert set(made.outputs["result"]) <= set(string.ascii_letters + string.digits)
    assert made.id == "none"
    assert make(resources["RandomPassword"], length=64).outputs["result"] != made.outputs["result"]


def test_minima_are_kept(resources: dict[str, Resource]) -> None:
    minima = {"minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2}
    for _ in range(20):
        result = make(resources["RandomPassword"], length=8, **minima).outputs["result"]
        for characters in (string.ascii_lowercase, string.ascii_uppercase, string.digits, SPECIAL):
            assert sum(character in characters for character in result) == 2


def test_special_characters_may_be_ones_own(resources: dict[str, Resource]) -> None:
    made = make(resources["RandomPassword"], length=20, lower=False, upper=False, numeric=False, overrideSpecial="_-")
    assert set(made.outputs["result"]) <= {"_", "-"}


@pytest.mark.parametrize(
    ("given", "property"),
    [
        ({"length": 0}, "length"),
        ({"length": 3, "minLower": 4}, "length"),
        ({"length": 8, "lower": False, "upper": False, "numeric": False, "special": False}, "numeric"),
        ({"length": 8, "number": True}, "number"),
    ],
)
def test_what_can_not_be_is_refused(resources: dict[str, Resource], given: dict[str, object], property: str) -> None:
    assert property in refusals(resources["RandomPassword"], **given)


def test_every_change_makes_a_new_one(resources: dict[str, Resource]) -> None:
    made = make(resources["RandomPassword"], length=8, keepers={"a": "1"})
    for change in ({"length": 9}, {"special": False}, {"keepers": {"a": "2"}}):
        assert made.diff(**change).replaces == tuple(change)
    assert made.read() == made.outputs
    assert made.handler.adopt("it", made.inputs) is None


def test_one_is_imported_by_its_value_which_is_not_its_id(resources: dict[str, Resource]) -> None:
    handler = resources["RandomPassword"]
    outputs = handler.read("known", {})
    assert outputs is not None
    assert (outputs["result"], outputs["length"], handler.identity("known")) == ("known", 5, "none")
    assert handler.diff("none", handler.found(outputs), outputs, handler.check({"length": 5})[0]).changes == ()
    assert handler.diff("none", handler.found(outputs), outputs, handler.check({"length": 6})[0]).replaces == (
        "length",
    )


def test_an_empty_set_of_special_characters_is_none(resources: dict[str, Resource]) -> None:
    made = make(resources["RandomPassword"], length=8, overrideSpecial="")
    diff = made.diff(overrideSpecial=None)
    assert (diff.changes, diff.replaces) == (("overrideSpecial",), ())
    before = made.outputs["result"]
    assert made.update(overrideSpecial=None)["result"] == before
    assert made.diff(overrideSpecial="-").replaces == ("overrideSpecial",)
