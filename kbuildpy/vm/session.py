# SPDX-License-Identifier: GPL-2.0-only
"""Tries modules in a kernel, with as many boots as it takes until each module has a result of its own."""

from __future__ import annotations

import functools
import os
import re
import shlex
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.own_modules import own_modules_of_tree
from kbuildpy.printable import printable
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.debugger_stops import Stops, debugger_stops
from kbuildpy.vm.devices import raise_for_device, with_controller
from kbuildpy.vm.drgn_script import DEVICE, DRIVER
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.guest_tests import judge_tests, kunit_results, with_remains
from kbuildpy.vm.in_tree import fetch_kernel_modules
from kbuildpy.vm.initramfs import busybox_for, make_initramfs
from kbuildpy.vm.judge import judge
from kbuildpy.vm.kernels import Kernel
from kbuildpy.vm.module_call import module_call
from kbuildpy.vm.needs import not_tried, with_earlier, with_needs
from kbuildpy.vm.programs import GuestFile, GuestTest, guest_files, scripts
from kbuildpy.vm.qemu import PANIC, again_after_early_panic, boot_live, require_programs
from kbuildpy.vm.report import new_marker
from kbuildpy.vm.result import Result, TestResult
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial, asked_modules, closure, with_dependencies
from kbuildpy.vm.vouching import VOUCHED, new_vouchers
from kbuildpy.vm.watcher import without_watcher

# Otherwise slab caches of one size share memory, and objects that are left in a cache are not found. KASAN would be
# silent after its first report, also about other modules.
_KERNEL_PARAMETERS = ("slab_nomerge", "kasan_multi_shot")
_LARGE_LOG = ("log_buf_len=8M",)
"""For what is long: what a watcher tells, and what tests print. All reports are made again, slowly, when some of them
are not in the log any more, or were overwritten before they were printed. It costs no time."""
_FEW = 64
"""Modules in one boot up to which the guest reports the addresses of their sections: there are twenty of each."""
_SHOWN = 15
"""Lines of the log that an error shows."""
_REGISTERS = re.compile(
    r"\s*(\w{1,4} ?: ?(\w{4}:)?[0-9a-f]{8}|[C-G]S: |[CD]R\d: |Code: |Modules linked|Hardware name|---\[ end )"
)
"""What kernels of all machines print of an oops besides the reason and the calls that led to it."""
_GUIDE = """
kbuildpy: this is a shell in the guest, with the modules loaded and their files below /modules, tests below /tests.
kbuildpy: `exit` removes the modules and ends the guest; Ctrl-A X ends it at once.

"""


def run_modules(
    kernel: Kernel,
    trials: Sequence[Trial],
    settings: Settings,
    *,
    show: Callable[[bytes], None],
    missing: Sequence[str] = (),
) -> Iterator[Result]:
    """Load `trials` in `kernel` and remove them again; a result for each, when there is one.

    All share a boot, and those that it left without a result share the next. So do tests, which run with all
    modules loaded; their results are in the result of each module that was given. `missing` names modules without
    which the tests are not run, and that are not among `trials`. `show` gets the kernel's log and our remarks while
    they come. Raises `KbuildError` if the kernel does not start, or QEMU, busybox or a dependency's package is
    missing; `UsageError` for a device that QEMU does not know, a module that the kernel does not have, and a test
    that the guest cannot run.
    """
    require_programs([kernel.machine])
    files = guest_files(settings.tests, settings.files, kernel.machine)
    if settings.watcher:
        trials = without_watcher(trials, settings.watcher)
    devices, modules = with_controller(settings.devices)
    if settings.drgn_script:
        devices, modules = (*devices, DEVICE), (*modules, DRIVER)
    settings = replace(settings, devices=devices, modules=(*modules, *settings.modules))
    built_here = own_modules_of_tree(kernel.tree) if kernel.tree else None
    own = functools.cache(lambda: built_here or fetch_kernel_modules(kernel.release, machine=kernel.machine))
    asked = asked_modules(settings.modules, trials, own, kernel.release)
    ordered = with_dependencies([*asked, *trials], own)
    pending = given = [trial.name for trial in ordered if trial.given]
    # (with a shell they are run by hand)
    untested = [] if settings.keep else list(settings.tests)
    tested: list[TestResult] = []
    suites: dict[str, TestResult] = {}
    deadly: set[str] = set()
    results: dict[str, Result] = {}
    each = looking = alone = False
    while pending or untested:
        batch = closure(
            ordered, [*(trial.name for trial in asked), *(given if untested else pending[:1] if alone else pending)]
        )
        # (once more when it is looked for who left something behind: a test may have made the module do so)
        again = [number for number, test in enumerate(tested) if test.status is not None] if looking else []
        looking = False
        tests = untested or [settings.tests[number] for number in again]
        boot = functools.partial(
            _boot, kernel, batch, settings, show, each=each, tests=tests, files=files, missing=missing
        )
        report = started(boot, kernel.release, settings.memory, show)
        if settings.watcher:
            settings.watcher.take(report.seen if report.watched and not report.lost else None)
        judged = judge(batch, report, limit=settings.limit)
        deadly |= {judged.deadly} - {""}
        for suite in kunit_results(report):
            suites.setdefault(suite.name, suite)
        progressed = bool(tests)
        if untested:
            new = judge_tests(untested, batch, report, limit=settings.test_limit)
            tested += new
            untested = untested[len(new) :]
        else:
            tested = with_remains(tested, report, again)
        for name in given:
            found = judged.final.get(name)
            if not found and name not in results:
                found = not_tried(ordered, name, deadly, kernel.release)
            if found:
                progressed = progressed or name not in results
                results[name] = with_earlier(with_needs(found, ordered, judged), results.get(name))
        if not progressed and not judged.remains and report.lost:
            # (alone, no other module can have done it)
            if alone or len(pending) == 1:
                results[pending[0]] = _drowned(ordered, pending[0], report)
            alone = progressed = True
        if not progressed and not judged.remains:
            raise KbuildError(
                f"kernel {kernel.release} did not get to an end with {', '.join(pending)}", hint=_tail(report)
            )
        if not untested:
            for name in [name for name in pending if name in results]:
                yield replace(results[name], tests=(*suites.values(), *tested))
            pending = [name for name in pending if name not in results]
        looking = bool(judged.remains) and not each and pending == given
        each = each or bool(judged.remains)
        if pending or untested:
            why = f", to find the module that left {judged.remains[0]} behind" if judged.remains else ""
            why = why or (f", because lockdep stopped at {judged.silencer}" if judged.silencer else "")
            whom = [test.name for test in untested] or pending
            show(f"kbuildpy: booting again for {', '.join(map(printable, whom))}{why}\n".encode())


def started(boot: Callable[[], BootReport], release: str, memory: int, show: Callable[[bytes], None]) -> BootReport:
    """What `boot` reports, of a kernel called `release` that got as far as to load modules.

    A kernel that panics before the guest's first program runs is booted once more. Raises `KbuildError` if it does not
    start then either.
    """
    report = again_after_early_panic(
        boot,
        # (a guest that reports has run)
        lambda report: () if report.release else report.log,
        lambda: show(b"kbuildpy: the kernel panicked before it ran the guest's first program; booting it once more\n"),
    )
    if not report.release:
        hint = f"Does it need more memory than {memory} MiB (--memory)? {_account(report)}"
        raise KbuildError(f"kernel {release} did not start in QEMU", hint=hint)
    return report


def _drowned(ordered: Sequence[Trial], name: str, report: BootReport) -> Result:
    """The result of a module that flooded the log, so that its reports were lost."""
    trial = next(trial for trial in ordered if trial.name == name)
    words = (
        "it floods the kernel's log: its result was lost, because messages were overwritten before they were printed"
    )
    complaint = Complaint("flood", words, tuple(report.log[-40:]))
    return Result(str(trial.file), report.release, name, trial.parameters, complaints=(complaint,), needs=trial.needs)


def _boot(
    kernel: Kernel,
    batch: Sequence[Trial],
    settings: Settings,
    show: Callable[[bytes], None],
    *,
    each: bool,
    tests: Sequence[GuestTest],
    files: Sequence[GuestFile],
    missing: Sequence[str],
) -> BootReport:
    """One boot with `batch`; with `each` the guest looks after each module what is new, and not in the end only: that
    takes a quarter of a second where QEMU translates."""
    contents = {f"modules/{trial.name}.ko": trial.image.contents for trial in batch}
    listed = "".join(_listed(number, trial, settings) for number, trial in enumerate(batch))
    contents["modules/list"] = os.fsencode(listed)
    marker, vouchers = new_marker(), new_vouchers(len(batch), len(tests))
    places = settings.gdb or len(batch) <= _FEW
    waits = bool(settings.gdb) and not settings.keep
    chosen = (
        f"marker={marker} limit={settings.limit} console={kernel.machine.console} sections={1 if places else ''}"
        f" wait={1 if waits else ''} keep={1 if settings.keep else ''} each={1 if each else ''}"
        f" tests={len(tests) or ''} test_limit={settings.test_limit} linger={settings.linger or ''}"
        f" refused={shlex.quote(''.join(f' {name}' for name in missing))}"
        f" watcher={shlex.quote(settings.watcher.words) if settings.watcher else ''}"
        f" vouched='{' '.join(sorted(VOUCHED))}' vouchers='{' '.join(vouchers)} '\n"
    )
    contents["modules/settings"] = os.fsencode(chosen)
    if settings.watcher:
        contents[settings.watcher.path] = settings.watcher.contents
    if tests or settings.keep:
        contents |= scripts(tests)
        contents["modules/setup.sh"] = _part("guest_setup.sh")
        contents["modules/tests.sh"] = _part("guest_tests.sh")
    beside = files if tests or settings.keep else ()
    initramfs = make_initramfs(
        contents,
        busybox=busybox_for(kernel.machine),
        init=_part("guest_run.sh"),
        programs={"module_call": module_call(kernel.machine)},
        beside=beside,
    )
    with TemporaryDirectory(prefix="kbuildpy-vm-") as name, _keyboard(settings) as (stdin, go_on):
        control = Path(name) / "control"
        options = tuple(word for device in settings.devices for word in ("-device", device))
        stops: Stops = {}
        if settings.gdb:
            options += ("-gdb", f"tcp:127.0.0.1:{settings.gdb}", "-qmp", f"unix:{control},server=on,wait=off")
            stops = debugger_stops(
                settings, kernel.machine, batch, scratch=Path(name), control=control, show=show, go_on=go_on
            )
        if settings.keep:
            stops["loaded"] = _with_guide(stops.get("loaded"), show)
        guest = Guest(
            [trial.name for trial in batch],
            marker=marker,
            vouchers=vouchers,
            limit=settings.limit,
            show=show,
            verbose=settings.verbose,
            stops=stops,
            tests=[test.name for test in tests],
            test_limit=settings.test_limit,
            linger=settings.linger,
            shell=settings.keep,
        )
        try:
            boot_live(
                kernel.image,
                initramfs,
                watch=guest.watch,
                parameters=(
                    *_KERNEL_PARAMETERS,
                    *(_LARGE_LOG if settings.watcher or settings.tests else ()),
                    *settings.append,
                ),
                memory=settings.memory,
                options=options,
                stdin=stdin,
            )
        except CommandError as error:
            if settings.gdb and "Address already in use" in error.stderr:
                raise KbuildError(f"port {settings.gdb} is in use", hint="--gdb PORT names another one") from error
            raise_for_device(settings.devices, error, kernel.machine)
            raise
    return guest.report()


def _with_guide(
    stop: Callable[[BootReport], None] | None, show: Callable[[bytes], None]
) -> Callable[[BootReport], None]:
    """Does what `stop` does, and says what a shell in the guest is for."""

    def loaded(report: BootReport) -> None:
        if stop:
            stop(report)
        show(_GUIDE.encode())

    return loaded


def _part(name: str) -> bytes:
    """A script for the guest."""
    return resources.files("kbuildpy.vm").joinpath(name).read_bytes()


def _listed(number: int, trial: Trial, settings: Settings) -> str:
    parameters = trial.parameters
    query = "+p" if settings.dyndbg and trial.has_messages else trial.debug_query
    if query and trial.given:
        parameters = f'{parameters} dyndbg="{query}"'.strip()
    stops = trial.given and settings.gdb_at_init
    flags = (
        f"{'d' if trial.given and trial.has_messages else ''}{'n' if trial.given or trial.asked else ''}"
        f"{'s' if stops else ''}-"
    )
    return f"{number} {trial.name} {flags} /modules/{trial.name}.ko {parameters}\n"


@contextmanager
def _keyboard(settings: Settings) -> Iterator[tuple[int | None, Callable[[], None]]]:
    """Where the guest's console reads from, and a function that lets a guest go on that waits for a line."""
    if settings.keep:
        # QEMU passes every key on, and may be killed before it puts the terminal back.
        before = termios.tcgetattr(0) if os.isatty(0) else None
        try:
            yield 0, lambda: None
        finally:
            if before:
                termios.tcsetattr(0, termios.TCSADRAIN, before)
    elif settings.gdb:
        reader, writer = os.pipe()
        try:
            yield reader, lambda: _write_line(writer)
        finally:
            os.close(reader)
            os.close(writer)
    else:
        yield None, lambda: None


def _write_line(descriptor: int) -> None:
    os.write(descriptor, b"\n")


def _account(report: BootReport) -> str:
    """The last lines of a kernel that did not start, up to its panic; without its registers, which would fill them."""
    end = next((number for number, line in enumerate(report.log) if line.startswith(PANIC)), None)
    if end is None:
        return _tail(report)
    told = [line for line in report.log[: end + 1] if not _REGISTERS.match(line)]
    return "Its last lines:\n" + "\n".join(told[-_SHOWN:])


def _tail(report: BootReport) -> str:
    return "Its last lines:\n" + "\n".join(report.log[-_SHOWN:]) if report.log else "It printed nothing."
