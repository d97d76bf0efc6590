"""The image's recipe, and when it is built anew."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rehearsal.cloud import image
from rehearsal.cloud.image import FILES, Image, ImageFailed
from rehearsal.cloud.network import MIRROR

SOURCES = """\
deb http://archive.example/debian trixie main
deb [signed-by="/keyring.gpg"] http://archive.example/debian trixie-updates main
deb [signed-by="/keyring.gpg"] https://security.example/debian-security/ trixie-security main
"""


class Builds:
    """Stands in for mmdebstrap: makes an empty image, or fails."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    def __call__(self, images: Path, recipe: str, progress: image.Progress) -> Image:
        self.count += 1
        if self.fails:
            raise ImageFailed("no network")
        folder = images / f"debian-13-{recipe}-{int(time.time())}"
        folder.mkdir()
        (folder / "upstreams.json").write_text(json.dumps({}))
        (folder / "lock").touch()
        return image.load(folder)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    monkeypatch.setattr(image, "_build", builds)
    return builds


def aged(built: Image, days: int, recipe: str = "") -> Path:
    """The image as if it had been built some days ago, of another recipe if one is given."""
    _, _, found, stamp = built.folder.name.split("-")
    return built.folder.rename(built.folder.with_name(f"debian-13-{recipe or found}-{int(stamp) - days * 86400}"))


def test_built_once_and_kept(tmp_path: Path, builds: Builds) -> None:
    assert image.ensure(tmp_path) == image.ensure(tmp_path)
    assert builds.count == 1


def test_built_anew_when_the_recipe_changes(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    first = image.ensure(tmp_path)
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    (authorities / "company.crt").write_text("a CA that the host trusts now")
    monkeypatch.setattr(image, "HOST_CAS", authorities)
    second = image.ensure(tmp_path)
    assert second.folder != first.folder
    assert first.folder.exists(), "a machine may be running on it"


def test_an_old_image_is_replaced_and_removed_once_no_machine_runs_on_it(tmp_path: Path, builds: Builds) -> None:
    old = aged(image.ensure(tmp_path), days=31)
    in_use = aged(Builds()(tmp_path / "images", "another", print), days=31)
    with image.locked(in_use / "lock"):
        assert image.ensure(tmp_path).folder not in (old, in_use)
    assert not old.exists()
    assert in_use.exists()


def test_an_old_image_serves_when_none_can_be_built(tmp_path: Path, builds: Builds) -> None:
    old = aged(image.ensure(tmp_path), days=40)
    builds.fails = True
    said: list[str] = []
    assert image.ensure(tmp_path, said.append).folder == old
    assert said == ["no network\nThe machine image of 40 days ago is used instead."]


def test_without_any_image_the_failure_is_told(tmp_path: Path, builds: Builds) -> None:
    builds.fails = True
    with pytest.raises(ImageFailed, match="no network"):
        image.ensure(tmp_path)


def test_what_a_killed_build_left_is_removed(tmp_path: Path, builds: Builds) -> None:
    left = tmp_path / "images/.building-0123456789ab/root/etc"
    left.mkdir(parents=True)
    image.ensure(tmp_path)
    assert not left.exists()


def test_the_archives_are_those_that_mmdebstrap_chose() -> None:
    assert image._upstreams(SOURCES) == {
        "debian": "http://archive.example/debian",
        "debian-security": "https://security.example/debian-security",
    }


def test_every_package_source_of_the_image_is_the_mirror() -> None:
    pointing = {
        str(path.relative_to(FILES))
        for path in FILES.rglob("*")
        if path.is_file() and f"http://{MIRROR}/" in path.read_text()
    }
    assert pointing == {
        "etc/apt/mirrors/debian-security.list",
        "etc/apt/mirrors/debian.list",
        "etc/cloud/cloud.cfg.d/01_debian_cloud.cfg",
        "etc/pip.conf",
        "etc/uv/uv.toml",
    }
