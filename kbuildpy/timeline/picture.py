# SPDX-License-Identifier: GPL-2.0-only
"""A build as a picture: a line for each job, its steps on it, and before each step how long it was ready."""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.page import text_of
from kbuildpy.printable import printable
from kbuildpy.svg import CHARACTER, GREEN, ON_COLOR, ORANGE, PURPLE, SKY, YELLOW, as_svg, swatches, text
from kbuildpy.timeline.build_trace import FAILED, BuildTrace, TracedStep, way_to_the_end

COLORS = {"CC": SKY, "LD": ORANGE, "AS": SKY, "MODPOST": PURPLE, "other": GREEN}
"""By the first word of a step."""
_WIDTH, _LEFT, _RIGHT = 1100, 92, 12
_TOP, _ROW, _BAR, _FONT = 52, 40, 24, 10.5
_STEPS_OF_AXIS = (1, 2, 5)
_FAILED = 'stroke="#b00000" stroke-width="3" stroke-dasharray="5 2"'


def as_picture(trace: BuildTrace) -> str:
    """The picture of `trace`, as SVG."""
    whole = max(trace.seconds, 0.001)
    scale = (_WIDTH - _LEFT - _RIGHT) / whole
    rows = trace.slots + 1
    bottom = _TOP + rows * _ROW
    title = f"{len(trace.steps)} steps in {trace.seconds:.2f} s, {trace.jobs} jobs: {summary(trace)}"
    last = {id(step) for step in way_to_the_end(trace)}
    parts = [text(12, 24, title, more=' font-size="15" font-weight="bold"')]
    parts += _axis(whole, scale, bottom)
    parts.append(text(12, _TOP + 16, "declarations", kind="p-dim"))
    parts.append(
        _bar(_LEFT, _TOP, trace.declared * scale, YELLOW, f"declare what is built: {trace.declared:.3f} s", "declare")
    )
    for slot in range(1, trace.slots + 1):
        parts.append(text(12, _TOP + slot * _ROW + 16, f"job {slot}", kind="p-dim"))
    for step in trace.steps:
        parts += _step(step, trace, scale, decides=id(step) in last)
    parts += _legend(bottom + 26)
    said = "; ".join(f"{step.name} {step.seconds:.2f} s" for step in way_to_the_end(trace))
    return as_svg(_WIDTH, bottom + 50, title=title, description=f"The way to the end: {said or 'no step'}", parts=parts)


def summary(trace: BuildTrace) -> str:
    """How much the jobs had to do, in words."""
    rest = trace.seconds - trace.declared
    use = trace.busy / (rest * trace.jobs) if rest > 0 else 0.0
    return f"busy for {min(use, 1.0):.0%} of the time after the declarations" if trace.steps else "nothing to do"


def _step(step: TracedStep, trace: BuildTrace, scale: float, *, decides: bool) -> Iterator[str]:
    top, left = _TOP + step.slot * _ROW, _LEFT + step.began * scale
    words = [f"{step.name}: {step.seconds:.3f} s, from {step.began:.3f} s on ({step.outcome})"]
    if step.waited_for is not None:
        words.append(f"waited for {trace.steps[step.waited_for].name}")
    if step.queued > 0.0005:
        words.append(f"was ready {step.queued:.3f} s before it began")
        begin = _LEFT + step.ready * scale
        yield f'<path class="p-rule" d="M{begin:.2f} {top + _BAR + 5}H{left:.2f}"/>'
    words += [f"why: {step.why}"] if step.why else []
    color = COLORS.get(step.name.partition(" ")[0], COLORS["other"])
    yield _bar(left, top, step.seconds * scale, color, "\n".join(words), step.name, step=step, decides=decides)


def _bar(
    left: float,
    top: float,
    width: float,
    color: str,
    title: str,
    label: str,
    *,
    step: TracedStep | None = None,
    decides: bool = False,
) -> str:
    width = max(width, 0.8)
    most = int((width - 6) / (_FONT * CHARACTER))
    short = printable(label)
    short = short if len(short) <= most else short.rpartition("/")[2]
    shown = short if len(short) <= most else f"{short[: most - 1]}…" if most > 5 else ""
    failed = step is not None and step.outcome == FAILED
    frame = f" {_FAILED}" if failed else ""
    frame = frame or (' class="p-line" stroke-width="2"' if decides else ' stroke="#ffffff" stroke-width="0.5"')
    caption = (
        f'<text x="{left + 4:.2f}" y="{top + 16}" font-size="{_FONT}" fill="{ON_COLOR}">{text_of(shown)}</text>'
        if shown
        else ""
    )
    lines = "\n".join(map(text_of, title.split("\n")))
    return (
        f'<g><title>{lines}</title><rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_BAR}" '
        f'style="fill: {color}"{frame}/>{caption}</g>'
    )


def _axis(whole: float, scale: float, bottom: float) -> Iterator[str]:
    """Lines at round times, ten or so."""
    unit = 10.0**-3
    choices = [unit * 10**power * first for power in range(8) for first in _STEPS_OF_AXIS]
    every = next((choice for choice in choices if whole / choice <= 12), whole)
    for number in range(int(whole / every) + 1):
        left = _LEFT + number * every * scale
        yield f'<path class="p-rule" d="M{left:.2f} {_TOP - 8}V{bottom:.1f}"/>'
        yield text(
            left, bottom + 12, f"{number * every:g} s", kind="p-dim", more=' font-size="10" text-anchor="middle"'
        )


def _legend(top: float) -> Iterator[str]:
    kinds = (("compile", SKY), ("link", ORANGE), ("modpost", PURPLE), ("other", GREEN))
    parts, left = swatches(kinds, _LEFT, top)
    yield from parts
    yield f'<rect class="p-line" stroke-width="2" x="{left:.1f}" y="{top:.1f}" width="14" height="12"/>'
    yield text(left + 20, top + 10, "on the way to the end")
    yield f'<path class="p-rule" d="M{left + 176:.1f} {top + 6:.1f}h20"/>'
    yield text(left + 202, top + 10, "ready, and not begun")
    yield f'<rect x="{left + 356:.1f}" y="{top:.1f}" width="14" height="12" fill="none" {_FAILED}/>'
    yield text(left + 376, top + 10, "failed")
