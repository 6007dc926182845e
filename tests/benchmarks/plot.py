"""Line plots with logarithmic axes, as SVG that is readable on light and dark backgrounds."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 160, 20, 50
COLORS = ("#d1495b", "#3d78b8", "#5a9e4b", "#b8862f")
GREY = "#808080"


def lines(series: dict[str, list[tuple[float, float]]], across: str, up: str) -> str:
    """Each series as a line of (x, y) points, its name at its end."""
    points = [point for line in series.values() for point in line]
    x_range, y_range = (decades([point[axis] for point in points]) for axis in (0, 1))
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def position(x: float, y: float) -> tuple[float, float]:
        along = [(math.log10(value) - low) / (high - low) for value, (low, high) in ((x, x_range), (y, y_range))]
        return LEFT + along[0] * inner_width, HEIGHT - BOTTOM - along[1] * inner_height

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">']
    for power in range(x_range[0], x_range[1] + 1):
        x, _ = position(10**power, 10 ** y_range[0])
        parts += [line(x, TOP, x, HEIGHT - BOTTOM), label(x, HEIGHT - BOTTOM + 18, tick(power), "middle")]
    for power in range(y_range[0], y_range[1] + 1):
        _, y = position(10 ** x_range[0], 10**power)
        parts += [line(LEFT, y, WIDTH - RIGHT, y), label(LEFT - 8, y + 4, tick(power), "end")]
    parts.append(label(LEFT + inner_width / 2, HEIGHT - 10, across, "middle"))
    parts.append(label(LEFT, TOP - 6, up, "start"))
    names = []
    for (name, line_points), color in zip(series.items(), COLORS):
        positions = [position(*point) for point in line_points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in positions)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in positions]
        x, y = positions[-1]
        names.append((y, x, name, color))
    # In the order of the lines' ends, without overlaps.
    below = 0.0
    for y, x, name, color in sorted(names):
        below = max(y, below)
        parts.append(label(x + 10, below + 4, name, "start", color))
        below += 15
    return "\n".join([*parts, "</svg>", ""])


def decades(values: list[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def tick(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10**power:g}"


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GREY}" stroke-opacity="0.35"/>'


def label(x: float, y: float, text: str, anchor: str, color: str = GREY) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{text}</text>'
