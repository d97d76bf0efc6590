"""What people read."""

from __future__ import annotations

import io

from rich.console import Console

from rehearsal.engine import Result, display
from tests.rehearsal.engine.mem import Stack, good

BEFORE = """
g = Group("g")
a = Thing("a", Opts(parent=g), value=1, note="n" * 50 + "old" * 20)
b = Thing("b", Opts(parent=g), pin=1, password=Output.secret("hidden"))
c = Thing("c")
pulumi.export("name", a.value)
pulumi.export("password", b.password)
"""
AFTER = """
g = Group("g")
a = Thing("a", Opts(parent=g), value={"deep": [True]}, note="n" * 50 + "new" * 20)
b = Thing("b", Opts(parent=g), pin=2, password=Output.secret("other"))
d = Thing("d", Opts(parent=a))
pulumi.log.warn("mind the gap", d)
pulumi.export("name", a.value)
pulumi.export("password", b.password)
pulumi.export("serial", d.serial)
"""


def shown(result: Result) -> list[str]:
    out = io.StringIO()
    display.show(result, Console(file=out, width=80))
    *lines, summary = out.getvalue().splitlines()
    return [*lines, summary.rpartition(" (")[0]]


def test_a_tree_of_changes(stack: Stack) -> None:
    good(stack.up(BEFORE))
    preview = stack.preview(AFTER)
    assert shown(preview) == [
        "    pulumi:Stack  project-dev",
        "      mem:Group  g",
        " ~      mem:Thing  a",
        '            ~ note: "…nnnnnnnnoldoldoldoldoldoldoldoldoldoldoldoldoldoldoldoldo… → '
        '"…nnnnnnnnnewnewnewnewnewnewnewnewnewnewnewnewnewnewnewnewn…',
        '            ~ value: 1 → {"deep": [true]}',
        " +        mem:Thing  d",
        " +-     mem:Thing  b",
        "            ~ password: [secret] → [secret]",
        "            ~ pin: 1 → 2  (replaces)",
        " -      mem:Thing  b  (replaced)",
        " -    mem:Thing  c",
        "warning: d: mind the gap",
        "Outputs:",
        '  name      {"deep": [true]}',
        "  password  [secret]",
        "  serial    [unknown]",
        "Preview: 1 to update, 1 to replace, 1 to create, 1 to delete, 2 unchanged",
    ]


def test_of_a_long_list_only_what_came_and_went_is_shown(stack: Stack) -> None:
    rules = [f"a rule that is rather long, number {n}" for n in range(30)]
    good(stack.up(f'Thing("a", value={[*rules, {"port": 80}]!r})'))
    preview = stack.preview(f'Thing("a", value={["another one", *rules[:7], *rules[8:]]!r})')
    assert [line.strip() for line in shown(preview) if "value" in line] == [
        '- value[7]: "a rule that is rather long, number 7"',
        '- value[30]: {"port": 80}',
        '+ value[0]: "another one"',
    ]


def test_nothing_to_do_takes_a_line(stack: Stack) -> None:
    good(stack.up('Thing("a")'))
    assert shown(stack.up()) == ["Up: 2 unchanged"]
    good(stack.engine.destroy())
    assert shown(stack.engine.destroy()) == ["Destroy: nothing to do"]


def test_an_error_names_its_resource(stack: Stack) -> None:
    stack.cloud.fail = {"create a"}
    assert shown(stack.up('g = Group("g"); Thing("a", Opts(parent=g))')) == [
        " +  pulumi:Stack  project-dev",
        " +    mem:Group  g",
        " +      mem:Thing  a  (failed)",
        "error: a: no create a today",
        "    (urn:pulumi:dev::project::mem:index:Group$mem:index:Thing::a)",
        "Up failed: 2 created",
    ]


def test_markup_in_values_is_text(stack: Stack) -> None:
    assert shown(stack.up('pulumi.export("x", "[bold]")'))[-2] == '  x  "[bold]"'


def test_colour_on_a_terminal_only(stack: Stack) -> None:
    out = io.StringIO()
    display.show(stack.up('Thing("a")'), Console(file=out, force_terminal=True, width=200))
    assert "\x1b[32m" in out.getvalue()


def test_progress_line_by_line(stack: Stack) -> None:
    stack.cloud.fail = {"delete b"}
    good(stack.up('Thing("a"); Thing("b")'))
    stack.up("pulumi.log.warn('[odd]')")
    told = [display.event_line(event) for event in stack.events]
    assert [line for line in told if line] == [
        "[green]+[/] creating pulumi:Stack project-dev",
        "[green]+[/] creating mem:Thing a",
        "[green]+[/] creating mem:Thing b",
        "[yellow]warning: \\[odd][/]",
        "[red]-[/] deleting mem:Thing b",
        "[red]x[/] deleting mem:Thing b failed",
        "[red]error: b: no delete b today\n    (urn:pulumi:dev::project::mem:index:Thing::b)[/]",
    ]
