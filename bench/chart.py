"""Bar charts as SVG text, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, BAR, GAP = 820, 390, 18, 8


@dataclass(frozen=True, kw_only=True)
class Bar:
    """note: what stands behind the bar. ours: drawn in the strong colour."""

    label: str
    value: float
    note: str
    ours: bool = True


def bars(title: str, groups: Sequence[Sequence[Bar]]) -> str:
    """Horizontal bars from zero, all to one scale; a little air between groups."""
    longest = max((bar.value for group in groups for bar in group), default=0) or 1
    lines, y = [], 34
    for group in groups:
        for bar in group:
            width = max(1.0, (WIDTH - LABEL - 110) * bar.value / longest)
            colour = "#2f6fde" if bar.ours else "#9aa4b2"
            middle = y + BAR - 5
            lines += [
                f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>',
                f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
                f'<text x="{LABEL + width + 6:.1f}" y="{middle}">{escape(bar.note)}</text>',
            ]
            y += BAR + GAP
        y += GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(title)}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#7a8594">\n'
        f'<text x="0" y="16" font-size="14" font-weight="600">{escape(title)}</text>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )
