"""Commands and copies without a machine: what is refused, what a change means, what happens when nobody answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pulumi import AssetArchive, FileArchive, FileAsset, StringAsset

from rehearsal.cloud import network
from rehearsal.cloud.world import World
from rehearsal.providers import ssh
from rehearsal.providers.base import UNKNOWN, ApiError, Resource
from tests.rehearsal.providers.driving import Made, checked, make, refusals

Resources = dict[str, Resource]


def command(resources: Resources, **more: object) -> Made:
    """One whose `create` is not run."""
    handler = resources["Command"]
    news = checked(handler, {"connection": {"host": "198.19.1.2"}, **more})
    return Made(handler, "it", news, {**news, "stdout": "old", "stderr": ""})


def test_a_connection_has_the_providers_defaults(resources: Resources) -> None:
    assert command(resources).inputs["connection"] == {
        "host": "198.19.1.2",
        "user": "root",
        "port": 22,
        "dialErrorLimit": 10,
        "perDialTimeout": 15,
    }


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ({}, "connection.host: is required"),
        ({"host": "x", "port": 0}, "must be a port"),
        ({"host": "x", "port": "22"}, "must be int or float"),
        ({"host": "x", "password": "x"}, "connection.password: is not rehearsed"),
        ({"host": "x", "proxy": {"host": "y"}}, "connection.proxy: is not rehearsed"),
        ({"host": "x", "hostKey": "AAAA"}, "must be one public key"),
        ({"host": "x", "hostKey": "ssh-ed25519 AAAA\nx ssh-ed25519 BBBB"}, "must be one public key"),
        ({"host": "x\nProxyCommand true"}, "connection.host: must be a name without white space"),
        ({"host": "x", "user": ""}, "connection.user: must be a name"),
        ({"host": "x", "nonesuch": 1}, "is no property of connection"),
        ("x", "must be dict"),
    ],
)
def test_an_odd_connection_is_refused(resources: Resources, connection: object, said: str) -> None:
    for kind in ("Command", "CopyToRemote"):
        found = refusals(resources[kind], connection=connection, source=StringAsset("x"), remotePath="/x")
        assert any(said in f"{name}: {reason}" for name, reason in found.items()), found


def test_a_refusal_never_shows_a_key(resources: Resources) -> None:
    found = refusals(resources["Command"], connection={"host": "x", "privateKey": ["canary"]})
    assert "connection.privateKey" in found
    assert "canary" not in str(found)


@pytest.mark.parametrize(
    ("property", "value", "said"),
    [
        ("environment", {"SECRET": "x"}, "could not set environment variable 'SECRET'"),
        ("environment", {"LC_ALL": 1}, "must be str"),
        ("logging", "all", "must be one of stdout, stderr, stdoutAndStderr, none"),
        ("triggers", "x", "must be list"),
        ("interpreter", ["sh"], "is no property"),
    ],
)
def test_an_odd_command_is_refused(resources: Resources, property: str, value: object, said: str) -> None:
    found = refusals(resources["Command"], **{"connection": {"host": "x"}, property: value})
    assert any(said in reason for reason in found.values()), found


def test_unknown_values_are_taken_on_trust(resources: Resources) -> None:
    connection = {"host": UNKNOWN, "privateKey": UNKNOWN, "hostKey": UNKNOWN}
    assert not refusals(resources["Command"], connection=connection, stdin=UNKNOWN, triggers=[UNKNOWN])
    assert not refusals(resources["Command"], connection=UNKNOWN)
    assert not refusals(resources["CopyToRemote"], connection=connection, source=UNKNOWN, remotePath=UNKNOWN)


def test_what_a_change_means(resources: Resources) -> None:
    made = command(resources, create="true", triggers=["1"])
    assert made.diff(triggers=["2"]).replaces == ("triggers",)
    assert made.diff(create="false", stdin="x").changes == ("create", "stdin")
    assert made.diff(create="false", stdin="x").replaces == ()
    assert made.diff(connection={"host": "198.19.2.2"}).replaces == ()


def test_nothing_to_run_dials_nobody(resources: Resources) -> None:
    made = make(resources["Command"], "waiter", connection={"host": "198.19.1.2"}, delete="true")
    assert made.id.startswith("waiter")
    assert made.outputs["stdout"] == ""
    made.update(triggers=["1"])
    command(resources).delete()


def test_whether_a_command_ran_before_a_kill_can_not_be_told(resources: Resources) -> None:
    with pytest.raises(ApiError):
        resources["Command"].adopt("it", {})
    assert resources["CopyToRemote"].adopt("it", {}) is None


def test_a_source_must_be_one_file(resources: Resources, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    connection = {"host": "198.19.1.2"}
    for source, said in (
        (FileAsset(str(tmp_path / "none")), "no such file"),
        (FileArchive(str(tmp_path)), "is a folder, which is not rehearsed"),
        (AssetArchive({"x": StringAsset("x")}), "AssetArchive is not rehearsed"),
    ):
        found = refusals(resources["CopyToRemote"], connection=connection, source=source, remotePath="/x")
        assert said in found["source"]
    for source in (FileAsset(str(tmp_path / "file")), FileArchive(str(tmp_path / "file")), StringAsset("x")):
        assert not refusals(resources["CopyToRemote"], connection=connection, source=source, remotePath="/x")


def test_the_same_content_elsewhere_is_no_change(resources: Resources, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
    handler = resources["CopyToRemote"]
    given = {"connection": {"host": "x"}, "source": FileAsset(str(tmp_path / "a")), "remotePath": "/x"}
    made = Made(handler, "it", checked(handler, given), given)
    assert made.diff(source=FileAsset(str(tmp_path / "b"))).changes == ()
    (tmp_path / "b").write_text("other")
    assert made.diff(source=FileAsset(str(tmp_path / "b"))).changes == ("source",)
    assert made.diff(remotePath="/y").replaces == ()
    assert made.diff(triggers=[1]).replaces == ("triggers",)


def test_dials_that_fail_are_counted(resources: Resources, account: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def refuse(world: World, place: str, argv: list[str], **_: object) -> object:
        tries.append(place)
        return type("Done", (), {"returncode": 255, "stdout": b"", "stderr": b"ssh: connect: Connection refused\n"})

    monkeypatch.setattr(network, "exec_in", refuse)
    monkeypatch.setattr(ssh.time, "sleep", lambda _: None)
    for limit in (0, 3):
        tries.clear()
        with pytest.raises(
            ApiError, match=f"after {limit} failed attempts: 198.19.1.2: ssh: connect: Connection refused"
        ):
            make(resources["Command"], connection={"host": "198.19.1.2", "dialErrorLimit": limit}, create="true")
        assert tries == ["operator"] * (limit + 1)
