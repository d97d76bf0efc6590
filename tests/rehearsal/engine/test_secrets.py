"""Secrets stay secret: in the state, in what is shown, on their way through a program."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine.secrets import Redactor
from rehearsal.engine.state import StateLocked
from rehearsal.engine.values import Secret
from tests.rehearsal.engine.mem import Stack, good, ops

CANARY = "canary-7f3a91"

PROGRAM = f"""
config = pulumi.Config()
secret = config.require_secret("canary")
a = Thing("a", value=secret, note="plain")
b = Thing("b", value={{"deep": [Output.concat("x-", secret), "open"]}}, password=Output.secret("pw-{CANARY}"))
c = Thing("c", Opts(additional_secret_outputs=["note"]), note="known", pin=a.value)
g = Group("g"); g.register_outputs({{"s": secret}})
pulumi.export("a", a.value); pulumi.export("b", b.value); pulumi.export("key", a.key); pulumi.export("c", c.note)
pulumi.export("open", a.note)
"""


@pytest.fixture
def secretive(stack: Stack) -> Stack:
    stack.config = {"project:canary": CANARY}
    stack.secret_keys = {"project:canary"}
    return stack


def everywhere(stack: Stack, *results: Any) -> str:
    """All that a run leaves behind or shows, except the stand-in cloud's own file."""
    files = [file for file in stack.home.rglob("*") if file.is_file()]
    shown = [json.dumps(result.as_json()) for result in results]
    return "\n".join([*(file.read_text() for file in files), *shown, repr(stack.events), repr(stack.engine.state())])


def test_no_canary_is_found_anywhere(secretive: Stack) -> None:
    preview = secretive.preview(PROGRAM)
    up = secretive.up(PROGRAM)
    changed = secretive.preview(PROGRAM.replace("pin=a.value", "pin=1").replace("x-", "y-"))
    assert sorted(good(changed)) == ["delete c replaced", "replace c", "update b"]
    assert len(secretive.cloud.things) == 3
    found = everywhere(secretive, preview, up, changed)
    assert CANARY not in found
    assert "key-of-" not in found
    assert '"plain"' in found and "open" in found


def test_the_program_gets_them_and_so_may_we(secretive: Stack) -> None:
    up = secretive.up(PROGRAM)
    assert up.outputs == {**dict.fromkeys(("a", "b", "c", "key"), "[secret]"), "open": "plain"}
    assert secretive.engine.outputs() == up.outputs
    assert secretive.engine.outputs(show_secrets=True) == {
        "a": CANARY,
        "b": {"deep": [f"x-{CANARY}", "open"]},
        "c": "known",
        "key": "key-of-a-1",
        "open": "plain",
    }
    assert good(secretive.up()) == []


def test_an_input_is_as_secret_as_the_program_says_like_with_the_real_engine(secretive: Stack) -> None:
    good(
        secretive.up(f'Thing("a", Opts(additional_secret_outputs=["note"]), note="{CANARY}", password="open-{CANARY}")')
    )
    (record,) = (record for record in secretive.engine.state() if record["custom"])
    assert record["inputs"] == {"note": CANARY, "password": f"open-{CANARY}", "count": 1}
    assert record["outputs"] == {"count": 1, "serial": 1, **dict.fromkeys(("note", "password", "key"), "[secret]")}


def test_a_value_that_becomes_secret_is_sealed_from_then_on(secretive: Stack) -> None:
    good(secretive.up(f'Thing("a", value="{CANARY}")'))
    assert CANARY in secretive.state_text()
    assert good(secretive.up(f'Thing("a", value=Output.secret("{CANARY}"))')) == []
    assert CANARY not in secretive.state_text()


def test_errors_and_messages_do_not_tell(secretive: Stack) -> None:
    secretive.config["project:canary"] = f"{CANARY}\nsecond-line-{CANARY}"
    result = secretive.up("""
secret = pulumi.Config().require("canary")
pulumi.log.warn(f"careful with {secret}")
pulumi.log.info(secret.splitlines()[1])
raise ValueError(f"what is {secret}?")
""")
    assert result.errors[0].text.endswith("ValueError: what is [secret]?")
    assert CANARY not in everywhere(secretive, result)


def test_a_provider_s_refusal_does_not_tell(secretive: Stack) -> None:
    result = secretive.up(f'Thing("a", note=Output.secret("{CANARY}"), count=Output.secret("{CANARY}"))')
    assert ops(result) == []
    assert "count: must be int" in result.errors[0].text
    assert CANARY not in everywhere(secretive, result)


def test_pending_operations_are_sealed_too(secretive: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(what: str) -> None:
        assert CANARY not in secretive.state_text()
        assert '"creating"' in secretive.state_text()
        raise KeyError(what)

    monkeypatch.setattr(secretive.cloud, "save", broken)
    result = secretive.up('Thing("a", value=pulumi.Config().require_secret("canary"))')
    assert "KeyError: 'create a'" in result.errors[0].text
    assert CANARY not in everywhere(secretive, result)


def test_the_key_is_a_private_file_beside_the_state(secretive: Stack) -> None:
    good(secretive.up(PROGRAM))
    for name in ("state.key", "state.json"):
        assert stat.S_IMODE((secretive.home / name).stat().st_mode) == 0o600
    (secretive.home / "state.key").unlink()
    result = secretive.up()
    assert ops(result) == []
    assert str(secretive.home / "state.key") in result.errors[0].text


def test_another_key_opens_nothing(secretive: Stack, tmp_path: Path) -> None:
    good(secretive.up(PROGRAM))
    (tmp_path / "other").mkdir()
    other = Stack(tmp_path / "other")
    good(other.up('Thing("a")'))
    (secretive.home / "state.key").write_bytes((other.home / "state.key").read_bytes())
    with pytest.raises(StateLocked, match="another key"):
        secretive.engine.outputs()


def test_or_a_passphrase(secretive: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    good(secretive.up(PROGRAM))
    assert not (secretive.home / "state.key").exists()
    assert good(secretive.up()) == []
    assert "correct horse" not in everywhere(secretive)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    assert "another key or passphrase" in secretive.up().errors[0].text
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert "set PULUMI_CONFIG_PASSPHRASE" in secretive.up().errors[0].text


def test_objects_in_the_configuration_are_redacted_leaf_by_leaf(stack: Stack) -> None:
    stack.config = {"project:app": {"environment": {"TOKEN": CANARY}}, "project:open": "visible"}
    stack.secret_keys = {"project:app"}
    result = stack.up("""
config = pulumi.Config()
app = config.require_secret_object("app")
pulumi.log.warn(config.require_object("app")["environment"]["TOKEN"] + config.require("open"))
Thing("a", value=app["environment"]["TOKEN"])
""")
    assert [warning.text for warning in result.warnings] == ["[secret]visible"]
    assert stack.cloud.names()["a"]["value"] == CANARY


def test_redaction_of_keys_line_by_line() -> None:
    redact = Redactor()
    redact.learn([Secret({"pem": "-----BEGIN KEY-----\nAAAABBBB\nCCCC\n-----END KEY-----\n", "short": "abc"}), "open"])
    assert redact("got CCCC, AAAABBBB and open abc") == "got [secret], [secret] and open abc"
    assert redact("-----BEGIN KEY-----") == "-----BEGIN KEY-----"
