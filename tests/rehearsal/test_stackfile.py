"""Reading stack files: their shape, their secrets, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import stackfile
from tests.rehearsal.stacks import sealed


def write(folder: Path, text: str, name: str = "Pulumi.mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_objects_arrive_as_json_and_text_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "config:\n  flask-origin:site: {zone: example.com}\n  aws:region: eu-central-1\n")
    stack = stackfile.load(path)
    assert stack.stack == "mine"
    assert stack.config == {"flask-origin:site": '{"zone": "example.com"}', "aws:region": "eu-central-1"}
    assert stack.section("site") == {"zone": "example.com"}
    assert stack.section("app") == {}


def test_a_stack_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    path = write(tmp_path, "config: {}")
    assert stackfile.find(tmp_path, "mine") == path
    assert stackfile.find(Path("/nowhere"), str(path)) == path


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("other", "there is no .*; stacks here: mine"), ("/nowhere/Pulumi.x.yaml", "there is no /nowhere/Pulumi.x.yaml")],
)
def test_an_unknown_stack_is_refused(tmp_path: Path, wanted: str, said: str) -> None:
    write(tmp_path, "config: {}")
    with pytest.raises(stackfile.StackFileError, match=said):
        stackfile.find(tmp_path, wanted)


@pytest.mark.parametrize("text", ["config: [1]", "- a", "config: {a: [", "42"])
def test_what_is_no_stack_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(stackfile.StackFileError, match=r"Pulumi\.mine\.yaml"):
        stackfile.load(write(tmp_path, text))


def test_secrets_are_read_with_the_passphrase_and_replaced_without(tmp_path: Path) -> None:
    salt, (first,) = sealed("open sesame", "s3cret")
    path = write(
        tmp_path,
        f"encryptionsalt: {salt}\nconfig:\n  flask-origin:secrets:\n    DATABASE_URL:\n      secure: {first}\n",
    )
    opened = stackfile.load(path, {"PULUMI_CONFIG_PASSPHRASE": "open sesame"})
    assert opened.section("secrets") == {"DATABASE_URL": "s3cret"}
    assert opened.secret_keys == {"flask-origin:secrets"}
    assert opened.substituted == ()

    closed = stackfile.load(path, {})
    assert closed.substituted == ("flask-origin:secrets.DATABASE_URL",)
    assert closed.secret_keys == {"flask-origin:secrets"}
    assert len(closed.section("secrets")["DATABASE_URL"]) >= 32

    with pytest.raises(stackfile.StackFileError, match="is not this stack's passphrase"):
        stackfile.load(path, {"PULUMI_CONFIG_PASSPHRASE": "wrong"})
