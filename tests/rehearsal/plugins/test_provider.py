"""The provider protocol over a real connection: what the engine would ask, and what the handlers make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from rehearsal.engine.values import decode, encode
from rehearsal.plugins.home import WORLD
from rehearsal.providers.base import UNKNOWN, Props

ROOT = Path(__file__).parents[3]
PASSWORD = "random:index/randomPassword:RandomPassword"
KEY = "aws:ec2/keyPair:KeyPair"


class Plugin:
    """A plugin's process and the engine's side of the connection to it."""

    def __init__(self, package: str, world: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rehearsal.plugins", package],
            cwd=ROOT,
            env={**os.environ, WORLD: str(world)},
            text=True,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout
        channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(channel)

    def check(self, type: str, news: Props) -> provider_pb2.CheckResponse:
        return self.stub.Check(provider_pb2.CheckRequest(type=type, news=encode(news)))


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    made = Plugin("random", tmp_path_factory.mktemp("world"))
    yield made
    made.process.kill()
    made.process.wait()


def test_it_says_the_version_that_its_sdk_asks_for(plugin: Plugin) -> None:
    import pulumi_random

    answer = plugin.stub.GetPluginInfo(empty_pb2.Empty())
    assert answer.version == pulumi_random._utilities.get_version()


def test_secrets_are_the_engines_business_and_previews_are_ours(plugin: Plugin) -> None:
    answer = plugin.stub.Configure(provider_pb2.ConfigureRequest(args=encode({"version": "4.21.4"})))
    assert (answer.acceptSecrets, answer.supportsPreview) == (False, True)


def test_inputs_are_checked_and_filled_in(plugin: Plugin) -> None:
    answer = plugin.check(PASSWORD, {"length": 8})
    assert not answer.failures
    assert decode(answer.inputs)["special"] is True


@pytest.mark.parametrize(
    ("type", "news", "words"),
    [
        (PASSWORD, {"length": 8, "lenght": 9}, "lenght: is no property of random:index/randomPassword:RandomPassword"),
        (PASSWORD, {}, "length: is required"),
    ],
)
def test_what_is_wrong_is_named(plugin: Plugin, type: str, news: Props, words: str) -> None:
    [failure] = plugin.check(type, news).failures
    # Beside a property's name the engine would print the value.
    assert (failure.property, words in failure.reason) == ("", True)


@pytest.mark.parametrize("call", ["type", "function", "setting"])
def test_what_is_unknown_is_refused_by_name(plugin: Plugin, call: str) -> None:
    if call == "setting":
        answer = plugin.stub.CheckConfig(provider_pb2.CheckRequest(news=encode({"proxy": "x"})))
        assert "proxy: is not rehearsed" in answer.failures[0].reason
        return
    with pytest.raises(grpc.RpcError) as refusal:
        if call == "type":
            plugin.check("random:index/randomPet:RandomPet", {})
        else:
            plugin.stub.Invoke(provider_pb2.InvokeRequest(tok="random:index/none:none"))
    refused: Any = refusal.value
    assert refused.code() == grpc.StatusCode.UNKNOWN
    assert "is not rehearsed" in refused.details()


def test_a_password_is_made_kept_and_marked_secret(plugin: Plugin) -> None:
    inputs = plugin.check(PASSWORD, {"length": 8}).inputs
    preview = plugin.stub.Create(provider_pb2.CreateRequest(type=PASSWORD, name="p", properties=inputs, preview=True))
    assert (preview.id, _value(preview.properties, "result")) == ("", rpc.UNKNOWN)

    made = plugin.stub.Create(provider_pb2.CreateRequest(type=PASSWORD, name="p", properties=inputs))
    assert len(_value(made.properties, "result")) == 8
    read = plugin.stub.Read(
        provider_pb2.ReadRequest(id=made.id, type=PASSWORD, properties=made.properties, inputs=inputs)
    )
    assert (read.id, read.inputs) == (made.id, inputs)
    plugin.stub.Delete(provider_pb2.DeleteRequest(id=made.id, type=PASSWORD, properties=made.properties))


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ({"length": 8}, {"length": 8}, {}),
        ({"length": 8}, {"length": 9}, {"length": "UPDATE_REPLACE"}),
        ({"length": 8}, {"length": UNKNOWN}, {"length": "UPDATE_REPLACE"}),
        ({"length": 8}, {"length": 8, "keepers": {"a": "b"}}, {"keepers": "ADD_REPLACE"}),
        ({"length": 8, "keepers": {"a": "b"}}, {"length": 8}, {"keepers": "DELETE_REPLACE"}),
    ],
)
def test_a_change_is_told_property_by_property(plugin: Plugin, old: Props, new: Props, kinds: dict[str, str]) -> None:
    answer = plugin.stub.Diff(
        provider_pb2.DiffRequest(id="none", type=PASSWORD, old_inputs=encode(old), olds=encode(old), news=encode(new))
    )
    assert {name: provider_pb2.PropertyDiff.Kind.Name(diff.kind) for name, diff in answer.detailedDiff.items()} == kinds
    assert list(answer.replaces) == list(answer.diffs) == list(kinds)
    assert answer.changes == (answer.DIFF_SOME if kinds else answer.DIFF_NONE)


def test_an_asset_is_compared_by_its_hash_alone(tmp_path: Path) -> None:
    """The engine sends no contents to be compared."""

    def inputs(hash: str) -> struct_pb2.Struct:
        asset = {rpc._special_sig_key: rpc._special_asset_sig, "hash": hash}
        made = encode({"connection": {"host": "h"}, "remotePath": "/x"})
        made.update({"source": asset})
        return made

    plugin = Plugin("command", tmp_path)
    try:
        for hash, changed in (("a", []), ("b", ["source"])):
            answer = plugin.stub.Diff(
                provider_pb2.DiffRequest(
                    id="x",
                    type="command:remote:CopyToRemote",
                    old_inputs=inputs("a"),
                    olds=inputs("a"),
                    news=inputs(hash),
                )
            )
            assert list(answer.diffs) == changed
    finally:
        plugin.process.kill()
        plugin.process.wait()


def test_a_region_is_lent_to_what_has_one(tmp_path: Path) -> None:
    plugin = Plugin("aws", tmp_path)
    try:
        plugin.stub.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "eu-central-1"})))
        checked = decode(plugin.check(KEY, {"publicKey": "ssh-ed25519 AAAA"}).inputs)
        assert checked.get("region") == "eu-central-1"
    finally:
        plugin.process.kill()
        plugin.process.wait()


def test_it_ends_with_its_engine(tmp_path: Path) -> None:
    """Also with one that is killed, and so tells nobody."""
    command = [sys.executable, "-m", "rehearsal.plugins", "tls"]
    engine = (
        "import subprocess, sys, os, signal\n"
        f"plugin = subprocess.Popen({command!r}, stdout=subprocess.PIPE)\n"
        "plugin.stdout.readline(); print(plugin.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", engine],
        cwd=ROOT,
        env={**os.environ, WORLD: str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    plugin = os.pidfd_open(int(done.stdout)) if Path(f"/proc/{int(done.stdout)}").exists() else None
    if plugin is not None:
        import select

        assert select.select([plugin], [], [], 10)[0], "it goes on without its engine"
        os.close(plugin)


def _value(properties: struct_pb2.Struct, name: str) -> Any:
    """The value within the mark of a secret."""
    marked = properties.fields[name].struct_value.fields
    assert marked[rpc._special_sig_key].string_value == rpc._special_secret_sig
    return marked["value"].string_value
