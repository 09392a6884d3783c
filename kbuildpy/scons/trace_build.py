# SPDX-License-Identifier: GPL-2.0-only
"""Notes what happens when in a build (`kbuildpy.timeline`), for `--trace` and `KBUILD_TRACE`.

SCons hands out tasks; a class of ours in place of its own takes the time around each. Without a trace, SCons' own class
stays.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import SCons.Action
import SCons.Node.FS
import SCons.Script.Main
from SCons.Environment import alias_builder

from kbuildpy.scons.actions import KbuildAction, of_os_error, print_error
from kbuildpy.timeline.build_trace import FAILED, MADE, TAKEN, BuildTrace, TracedStep
from kbuildpy.timeline.write import check_files, remove_files, write_files

_LONGEST = 120
"""Characters of the name of a step that is not Kbuild's."""


class TraceInProgress:
    """A build that is being traced."""

    def __init__(self, files: Iterable[Path], *, began_ns: int) -> None:
        """`began_ns` is when the build began. What is in `files` is removed. Raises `UsageError` for files that cannot
        be written, and `OSError`."""
        self._files = tuple(file.absolute() for file in files)
        check_files(self._files)
        remove_files(self._files)
        self._began = began_ns / 1e9
        self._origin = time.monotonic() - (time.time() - self._began)
        self._declared: float | None = None
        self._lock = threading.Lock()
        self._free: list[int] = []
        self._slots = 0
        self._jobs = 1
        self._ended: dict[Any, tuple[float, int]] = {}
        """Of each node that was made: when, and the number of its step."""
        self._steps: list[TracedStep | None] = []
        """None for one that has not ended yet."""

    def listen(self) -> None:
        """Take the time of every task of SCons' from now on."""
        SCons.Script.Main.BuildTask = _task_class(SCons.Script.Main.BuildTask, self)

    def note_declared(self, jobs: int) -> None:
        """The first task is about to be made ready; `jobs` can run at a time."""
        if self._declared is None:
            self._declared, self._jobs = self._now(), jobs

    def last_made(self, targets: Iterable[Any]) -> tuple[float, int] | None:
        """When the last of what `targets` depend on was made in this build, and by which step; None if nothing was."""
        made = [self._ended[child] for target in targets for child in target.children() if child in self._ended]
        return max(made, default=None)

    def begin(self) -> tuple[int, int, float]:
        """The number of a step that begins, its slot, and when it begins."""
        with self._lock:
            if not self._free:
                self._slots += 1
                heapq.heappush(self._free, self._slots)
            self._steps.append(None)
            return len(self._steps) - 1, heapq.heappop(self._free), self._now()

    def end(self, number: int, targets: Iterable[Any], step: TracedStep) -> None:
        """Step `number` has made `targets` (or not). `step` is what is known of it; it ends now."""
        with self._lock:
            ended = self._now()
            self._steps[number] = step._replace(ended=ended)
            heapq.heappush(self._free, step.slot)
            self._ended.update(dict.fromkeys(targets, (ended, number)))

    def end_trace(self) -> bool:
        """Write the files, once; whether that went well. A failure is told."""
        files, self._files = self._files, ()
        try:
            write_files(self._finished(), files)
        except OSError as error:
            print_error(of_os_error(error, where=files[0]))
            return False
        return True

    def _finished(self) -> BuildTrace:
        now = self._now()
        declared = now if self._declared is None else self._declared
        # (a step that was killed has no end, and nothing has waited for it)
        numbers = {old: new for new, old in enumerate(at for at, step in enumerate(self._steps) if step is not None)}
        steps = [
            step._replace(
                waited_for=None if step.waited_for is None else numbers[step.waited_for],
                ready=max(step.ready, declared),
            )
            for step in self._steps
            if step is not None
        ]
        return BuildTrace(self._began, declared, now, self._jobs, tuple(steps))

    def _now(self) -> float:
        return time.monotonic() - self._origin


def _task_class(usual: Any, trace: TraceInProgress) -> Any:
    """A class of tasks as SCons has them (`usual`), that tell `trace` what they do."""

    class TracedTask(usual):  # type: ignore[misc]
        def prepare(self) -> Any:
            # (called by one thread at a time)
            trace.note_declared(int(self.options.num_jobs or 1))
            self.last_made = trace.last_made(self.targets)
            return super().prepare()

        def execute(self) -> None:
            executor = self.targets[0].get_executor()
            actions = executor.get_action_list() if executor is not None else []
            if not actions or _does_nothing(self.targets[0], actions):
                super().execute()
                return
            action = next((item for item in actions if isinstance(item, KbuildAction)), None)
            why = action.why(self.targets[0]) if action else ""
            name = _name(action, actions, executor, self.targets[0])
            ready, waited_for = self.last_made or (0.0, None)
            number, slot, began = trace.begin()
            outcome = FAILED
            try:
                super().execute()
                outcome = TAKEN if all(getattr(target, "cached", 0) for target in self.targets) else MADE
            finally:
                step = TracedStep(name, str(self.targets[0]), slot, ready, began, began, waited_for, why, outcome)
                trace.end(number, self.targets, step)

    return TracedTask


def _does_nothing(target: Any, actions: Sequence[Any]) -> bool:
    """Whether `actions` are SCons' own for an alias, or for a folder, which is made before it is needed."""
    if target.builder is SCons.Node.FS.MkdirBuilder:
        return True
    return all(getattr(action, "execfunction", None) is alias_builder for action in actions)


def _name(action: KbuildAction | None, actions: Sequence[Any], executor: Any, target: Any) -> str:
    """What a step is called: as it is printed, without spaces at its begin."""
    if action is not None:
        return " ".join(action.title.split()) or f"write {target.name}"
    call = (executor.get_all_targets(), executor.get_all_sources(), executor.get_build_env(), executor)
    words = " ".join(_printed(actions[0], call).split()) or f"make {target}"
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."


def _printed(action: Any, call: tuple[Any, ...]) -> str:
    """What SCons prints of an action that is not ours; the first of several."""
    if isinstance(action, SCons.Action.ListAction):
        return _printed(action.list[0], call) if action.list else ""
    # (a generator of commands has no such function; one that prints nothing has None)
    printing = getattr(action, "strfunction", action.genstring)
    return str(printing(*call) or "") if printing else ""
