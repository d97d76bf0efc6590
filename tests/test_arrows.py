"""The direction of imports: program → wiring → settings, components → provisioning; the rehearsal stands outside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"wiring", "policy", "package", "components", "provisioning", "rehearsal", "tests", "settings"}

ALLOWED = {
    "components": {"components", "provisioning"},
    "provisioning": {"provisioning"},
    "settings": {"settings"},
    "rehearsal": {"rehearsal", "provisioning"},
    "policy": {"policy", "settings", "provisioning"},
    "package": {"package", "wiring", "settings"},
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    # The engine installs the package's own requirements beside it.
    modules = [path for path in sorted((ROOT / package).rglob("*.py")) if "site-packages" not in path.parts]
    assert modules
    for module in modules:
        assert imported(module) & OURS <= ALLOWED[package], module.relative_to(ROOT)


def test_provisioning_knows_nothing_of_pulumi() -> None:
    for module in (ROOT / "provisioning").rglob("*.py"):
        assert not {name for name in imported(module) if name.startswith("pulumi")}, module.relative_to(ROOT)


def test_settings_know_nothing_of_pulumi() -> None:
    for module in (ROOT / "settings").rglob("*.py"):
        assert not {name for name in imported(module) if name.startswith("pulumi")}, module.relative_to(ROOT)


def test_the_program_leaves_the_wiring_to_its_module() -> None:
    assert imported(ROOT / "__main__.py") & OURS <= {"wiring", "settings"}
    assert imported(ROOT / "wiring.py") & OURS <= {"components", "provisioning", "settings"}


def test_only_the_program_reads_configuration_and_exports() -> None:
    for module in [*(ROOT / "components").rglob("*.py"), *(ROOT / "provisioning").rglob("*.py"), ROOT / "wiring.py"]:
        text = module.read_text()
        assert "pulumi.Config" not in text, module.relative_to(ROOT)
        assert "pulumi.export" not in text, module.relative_to(ROOT)


def test_the_program_knows_nothing_of_the_rehearsal() -> None:
    programs = [ROOT / "__main__.py", ROOT / "wiring.py", *(ROOT / "settings").rglob("*.py")]
    for module in [*programs, *(ROOT / "components").rglob("*.py"), *(ROOT / "provisioning").rglob("*.py")]:
        # The worlds' folder is named among what an app's archive leaves out.
        assert "rehears" not in module.read_text().lower().replace('".rehearsal"', ""), module.relative_to(ROOT)
