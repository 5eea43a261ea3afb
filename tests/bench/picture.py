"""The frame of every picture: an SVG that brings its own paper and its own colours for a light and a dark theme.

Pure. A page shows pictures as images, which nothing of its style reaches: so each asks for the theme itself.
"""

from collections.abc import Sequence
from html import escape

__all__ = ["COLOURS", "box", "document", "line", "words"]

COLOURS = 10
"""How many lines can be told apart."""
_LIGHT = ("#0b62a4", "#c2410c", "#15803d", "#9333ea", "#b91c1c", "#0f766e", "#a16207", "#be185d", "#4338ca", "#57534e")
_DARK = ("#6cb6ff", "#fb923c", "#4ade80", "#c084fc", "#f87171", "#2dd4bf", "#facc15", "#f472b6", "#a5b4fc", "#a8a29e")
_FILLS = (
    "#8ecae6",
    "#ffb077",
    "#a7d99b",
    "#d5b8f0",
    "#f4978e",
    "#7fd1c7",
    "#f2d06b",
    "#f3a6c8",
    "#aab6f5",
    "#c9c3bd",
    "#e7c9a9",
)


def document(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """Put parts on paper; the title is what a screen reader says and a pointer shows."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="12">'
    paper = f'<rect class="paper" width="{width}" height="{height}"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", _style(), paper, *parts, "</svg>", ""])


def words(x: float, y: float, text: str, kind: str = "ink", anchor: str = "start", turned: int = 0) -> str:
    """Write text; `kind` is `ink`, `faint`, `strong` or a colour `c0`."""
    turn = f' transform="rotate({turned} {x:.1f} {y:.1f})"' if turned else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'


def line(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Draw a line through points; `kind` is `axis`, `grid`, `limit c0` or `curve c0`."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, told: str = "") -> str:
    """Draw a filled rectangle, which says something to the pointer; `kind` is a fill `f0`."""
    size = f'x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height:.1f}"'
    return (
        f'<rect class="{kind}" {size}><title>{escape(told)}</title></rect>'
        if told
        else f'<rect class="{kind}" {size}/>'
    )


def _style() -> str:
    fills = "".join(f".f{number}{{fill:{colour}}}" for number, colour in enumerate(_FILLS))
    return (
        f"<style>{_theme('#ffffff', '#1c1917', '#57534e', '#d6d3d1', _LIGHT)}{fills}"
        ".mixed{fill:#dcdad7}.strong{font-weight:bold}.on{fill:#1c1917;font-family:monospace;font-size:11px}"
        "polyline{fill:none}.axis{stroke-width:1}.grid{stroke-width:.5}.curve{stroke-width:2}"
        ".limit{stroke-width:1.5;stroke-dasharray:6 4}"
        "@media (prefers-color-scheme:dark){"
        f"{_theme('#1c1b1a', '#f5f5f4', '#b5b0aa', '#44403c', _DARK)}}}</style>"
    )


def _theme(paper: str, ink: str, faint: str, grid: str, colours: Sequence[str]) -> str:
    own = "".join(
        f"text.c{number},circle.c{number}{{fill:{colour}}}polyline.c{number}{{stroke:{colour}}}"
        for number, colour in enumerate(colours)
    )
    plain = f".paper{{fill:{paper}}}.ink,.strong{{fill:{ink}}}.faint{{fill:{faint}}}"
    return f"{plain}.axis{{stroke:{faint}}}.grid{{stroke:{grid}}}{own}"
