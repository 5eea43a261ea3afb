"""A flame graph: each frame as wide as the CPU time that a message spends in it, coloured by stage.

Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.picture import box, document, words
from tests.bench.profile.sample import Frame, Sample
from tests.bench.profile.stages import STAGES, stage_of

__all__ = ["flame"]

_WIDTH, _ROW, _SIDE = 1200, 17, 10
_LEGEND_COLUMNS, _LETTER = 4, 6.7
_THINNEST = 0.5
_CLEAR = 0.9
"""A frame has the colour of a stage that has so much of it."""
_STARTS = (
    *("bin/portos-bridge", "bridge/__main__.py", "bridge/commands/run.py", "threading.py"),
    *("asyncio/runners.py", "asyncio/base_events.py", "asyncio/events.py"),
)


@dataclass(slots=True)
class _Node:
    name: str
    stages: dict[str, float] = field(default_factory=dict)
    children: dict[str, "_Node"] = field(default_factory=dict)

    @property
    def weight(self) -> float:
        return sum(self.stages.values())

    def depth(self) -> int:
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def flame(samples: Sequence[Sample], title: str) -> str:
    """Draw samples whose weights are microseconds a message."""
    root = _grown(samples)
    top = 34 + _ROW * (-(-len(STAGES) // _LEGEND_COLUMNS))
    height = top + root.depth() * _ROW + _SIDE
    parts = [words(_SIDE, 20, title, "strong"), *_legend()]
    if root.weight:
        scale = (_WIDTH - 2 * _SIDE) / root.weight
        _draw(root, _SIDE, height - _SIDE - _ROW, scale, root.weight, parts)
    return document(_WIDTH, height, title, parts)


def _grown(samples: Sequence[Sample]) -> _Node:
    root = _Node("all")
    for sample in samples:
        if not sample.weight:
            continue
        stage, node = stage_of(sample), root
        names = [sample.thread, *map(_name, _without_start(sample.frames))]
        for name in (None, *names):
            if name is not None:
                node = node.children.setdefault(name, _Node(name))
            node.stages[stage] = node.stages.get(stage, 0) + sample.weight
    return root


def _without_start(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Leave out how the thread or the loop was started, which all stacks share."""
    start = 0
    while start < len(frames) - 1 and frames[start].path.endswith(_STARTS) and "select" not in frames[start].function:
        start += 1
    return frames[start:]


def _name(frame: Frame) -> str:
    return f"{frame.function} ({frame.path})"


def _legend() -> list[str]:
    parts = []
    for number, stage in enumerate(STAGES):
        row, column = divmod(number, _LEGEND_COLUMNS)
        x, y = _SIDE + column * 290, 30 + row * _ROW
        parts += [box(x, y, 12, 12, _fill(stage)), words(x + 18, y + 10, stage)]
    return parts


def _draw(node: _Node, x: float, y: float, scale: float, total: float, parts: list[str]) -> None:
    width = node.weight * scale
    if width < _THINNEST:
        return
    told = f"{node.name}: {node.weight:.2f} us a message, {node.weight / total:.1%}"
    parts.append(box(x, y, max(width - 0.4, 0.3), _ROW - 1, _colour(node), told))
    letters = int((width - 6) / _LETTER)
    if letters > 3:
        text = node.name if len(node.name) <= letters else node.name[: letters - 1] + "…"
        parts.append(words(x + 3, y + 12, text, "on"))
    for child in sorted(node.children.values(), key=lambda child: child.name):
        _draw(child, x, y - _ROW, scale, total, parts)
        x += child.weight * scale


def _colour(node: _Node) -> str:
    stage = max(node.stages, key=lambda name: node.stages[name])
    return _fill(stage) if node.stages[stage] >= _CLEAR * node.weight else "mixed"


def _fill(stage: str) -> str:
    return f"f{STAGES.index(stage)}"
