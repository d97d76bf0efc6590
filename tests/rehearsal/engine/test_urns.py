"""A name may hold what separates a URN's parts: firewall rules are named after IPv6 ranges."""

from __future__ import annotations

from rehearsal.engine.urns import name_of, parts, urn_of


def test_names_hold_anything() -> None:
    urn = urn_of("dev", "flask-origin", "", "aws:vpc/rule:Rule", "in-2001:db8::/32")
    assert parts(urn) == ("dev", "flask-origin", "aws:vpc/rule:Rule", "in-2001:db8::/32")
    assert name_of(urn) == "in-2001:db8::/32"
    assert name_of("") == ""


def test_ancestors_are_in_it_but_for_the_stack() -> None:
    stack = urn_of("dev", "p", "", "pulumi:pulumi:Stack", "p-dev")
    site = urn_of("dev", "p", stack, "p:site:Site", "a::b")
    assert site == "urn:pulumi:dev::p::p:site:Site::a::b"
    assert urn_of("dev", "p", site, "p:host:Host", "h") == "urn:pulumi:dev::p::p:site:Site$p:host:Host::h"
