"""What a bench prints: a Markdown table, and last its numbers for whoever compares runs."""

from collections.abc import Mapping, Sequence

Cell = str | int | float | None


def cell(value: Cell) -> str:
    """Floats with three significant digits at least; `-` for what was not measured."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    return str(value)


def number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    cells = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(line[at]) for line in cells)) for at in range(len(columns))]
    rules = ["-" * (width - (at > 0)) + ":" * (at > 0) for at, width in enumerate(widths)]
    head, *body = [_line(line, widths) for line in cells]
    return "\n".join([head, f"| {' | '.join(rules)} |", *body])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        text.rjust(width) if at else text.ljust(width)
        for at, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |"


def bench_lines(numbers: Mapping[str, float]) -> str:
    """`bench <name> <number>`, one a line; ratios are named `..._vs_<peer>`."""
    return "\n".join(f"bench {name} {number(value)}" for name, value in numbers.items())
