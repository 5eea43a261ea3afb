"""From measured figures to one table.

Pure. A figure is the list of what the rounds gave; a cell shows its smallest, median and largest value.
"""

from collections.abc import Collection, Mapping, Sequence
from math import ceil
from statistics import median

__all__ = ["Figures", "cell", "lost", "percentile", "ratio", "relative", "table"]

Figures = dict[str, dict[str, list[float]]]
"""What was measured: name of the figure -> contender -> a value for each round."""


def lost(figures: Figures, others: Collection[str] = ()) -> float:
    """Count the messages that are missing in all rounds, but for those of other people's bridges."""
    missing = [columns for name, columns in figures.items() if name.endswith("missing")]
    return sum(sum(rounds) for columns in missing for who, rounds in columns.items() if who not in others)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least this share of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


def cell(values: Sequence[float]) -> str:
    """Show the rounds of one figure: smallest, median and largest."""
    if not values:
        return "-"
    return " / ".join(_number(value) for value in (min(values), median(values), max(values)))


def ratio(rounds: Mapping[str, Sequence[float]], ours: str, other: str) -> str:
    """Show our median as a multiple of the other's."""
    mine, its = rounds.get(ours), rounds.get(other)
    if not mine or not its or not median(its):
        return "-"
    return f"{median(mine) / median(its):.2f}"


def table(figures: Figures, contenders: Sequence[str], ours: str, other: str, *, markdown: bool = False) -> str:
    """Lay all figures out, one a line and one contender a column, with the ratio of ours to the other's at the end."""
    compared = ours in contenders and other in contenders
    head = ["min / median / max", *contenders, *([f"{ours}:{other}"] if compared else [])]
    lines = [head]
    for name, rounds in figures.items():
        end = [ratio(rounds, ours, other)] if compared else []
        lines.append([name, *(cell(rounds.get(contender, ())) for contender in contenders), *end])
    return _laid_out(lines, markdown=markdown)


def relative(figures: Figures, contenders: Sequence[str], base: str, *, markdown: bool = False) -> str:
    """Lay out each contender's medians as multiples of one contender's."""
    others = [name for name in contenders if name != base]
    lines = [[f"median : {base}", *others]]
    for name, rounds in figures.items():
        if rounds.get(base) and median(rounds[base]):
            lines.append([name, *(ratio(rounds, other, base) for other in others)])
    return _laid_out(lines, markdown=markdown)


def _laid_out(lines: Sequence[Sequence[str]], *, markdown: bool) -> str:
    head = lines[0]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if markdown:
        rule = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines[1:]))
    return "\n".join(
        "  ".join(text.ljust(width) if not index else text.rjust(width) for index, (text, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _number(value: float) -> str:
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
