"""Tries modules in a kernel: as many boots as it takes for each of them to get a result that is its own doing."""

from __future__ import annotations

import os
import shutil
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.run import package_of
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.debugger import add_symbol_file, pause, symbol_file
from kbuildpy.vm.guest import Guest
from kbuildpy.vm.in_tree import fetch_kernel_modules
from kbuildpy.vm.initramfs import busybox_for, make_initramfs
from kbuildpy.vm.judge import Judged, judge
from kbuildpy.vm.kernels import Kernel
from kbuildpy.vm.module_call import module_call
from kbuildpy.vm.qemu import boot_live
from kbuildpy.vm.reports import BootReport, new_marker
from kbuildpy.vm.result import Result
from kbuildpy.vm.trial import Trial, closure, needed_by, with_dependencies

# Else a cache shares its memory with others of its size, and whatever is left in it goes unnoticed.
_KERNEL_PARAMETERS = ("slab_nomerge",)
_GUIDE = """
kbuildpy: this is a shell in the guest, with the modules loaded and their files below /modules.
kbuildpy: `exit` removes the modules and ends the guest; Ctrl-A X ends it at once.

"""


@dataclass(frozen=True)
class Settings:
    """How modules are tried: `limit` is the seconds that an init or exit function may take, `memory` the guest's in
    MiB, `append` goes on the kernel's command line, `dyndbg` switches dynamic debug messages on, `keep` gives a shell
    on the terminal once all are loaded, `gdb` is the port where a debugger is waited for then (0: none), `verbose`
    shows what the kernel says while it starts, too."""

    limit: int = 20
    memory: int = 512
    append: tuple[str, ...] = ()
    dyndbg: bool = False
    keep: bool = False
    gdb: int = 0
    verbose: bool = False


def run_modules(
    kernel: Kernel, trials: Sequence[Trial], settings: Settings, *, show: Callable[[bytes], None]
) -> Iterator[Result]:
    """Load `trials` in `kernel` and remove them again; a result for each, when there is one.

    All share a boot, and those that it left without a result share the next. `show` gets the kernel's log and our
    remarks while they come. Raises `KbuildError` if the kernel does not start, or QEMU, busybox or a dependency's
    package is missing.
    """
    _require_programs(kernel)
    ordered = with_dependencies(trials, lambda: fetch_kernel_modules(kernel.release, machine=kernel.machine))
    pending = [trial.name for trial in ordered if trial.given]
    deadly: set[str] = set()
    each = False
    while pending:
        batch = closure(ordered, pending)
        report = _boot(kernel, batch, settings, show, each=each)
        judged = judge(batch, report, limit=settings.limit)
        deadly |= {judged.deadly} - {""}
        finished = []
        for name in pending:
            result = judged.final.get(name) or _not_tried(ordered, name, deadly, kernel)
            if result:
                finished.append(name)
                yield _with_needs(result, ordered, judged)
        if not finished and not judged.remains:
            raise KbuildError(
                f"kernel {kernel.release} did not get to an end with {', '.join(pending)}", hint=_tail(report)
            )
        pending = [name for name in pending if name not in finished]
        each = each or bool(judged.remains)
        if pending:
            why = f", to see who left {judged.remains[0]} behind" if judged.remains else ""
            show(f"kbuildpy: booting again for {', '.join(pending)}{why}\n".encode())


def _require_programs(kernel: Kernel) -> None:
    """Name all that is missing, not one after the other."""
    needed = [*(["busybox"] if kernel.machine.native else []), kernel.machine.qemu]
    missing = [program for program in needed if shutil.which(program) is None]
    if missing:
        raise KbuildError(
            f"{' and '.join(missing)}: program not found",
            hint=f"apt-get install {' '.join(map(package_of, missing))}",
        )


def _boot(
    kernel: Kernel, batch: Sequence[Trial], settings: Settings, show: Callable[[bytes], None], *, each: bool
) -> BootReport:
    """One boot with `batch`; with `each` the guest looks after each module what is new, and not in the end only: that
    takes a quarter of a second where QEMU translates."""
    contents = {f"modules/{trial.name}.ko": trial.image.contents for trial in batch}
    contents["modules/list"] = "".join(_listed(number, trial, settings) for number, trial in enumerate(batch)).encode()
    marker = new_marker()
    waits = bool(settings.gdb) and not settings.keep
    contents["modules/settings"] = (
        f"marker={marker} limit={settings.limit} console={kernel.machine.console} sections={1 if settings.gdb else ''}"
        f" wait={1 if waits else ''} keep={1 if settings.keep else ''} each={1 if each else ''}\n"
    ).encode()
    initramfs = make_initramfs(
        contents,
        busybox=busybox_for(kernel.machine),
        init=files("kbuildpy.vm").joinpath("guest_run.sh").read_bytes(),
        programs={"module_call": module_call(kernel.machine)},
    )
    with TemporaryDirectory(prefix="kbuildpy-vm-") as name, _keyboard(settings) as (stdin, go_on):
        control = Path(name) / "control"
        options: tuple[str, ...] = ()
        if settings.gdb:
            options = ("-gdb", f"tcp:127.0.0.1:{settings.gdb}", "-qmp", f"unix:{control},server=on,wait=off")

        def loaded(report: BootReport) -> None:
            if settings.gdb:
                pause(control)
                show(_how_to_attach(batch, report, settings, Path(name)).encode())
                go_on()
            if settings.keep:
                show(_GUIDE.encode())

        guest = Guest(
            [trial.name for trial in batch],
            marker=marker,
            limit=settings.limit,
            show=show,
            verbose=settings.verbose,
            loaded=loaded if settings.gdb or settings.keep else None,
        )
        try:
            boot_live(
                kernel.image,
                initramfs,
                watch=guest.watch,
                parameters=(*_KERNEL_PARAMETERS, *settings.append),
                memory=settings.memory,
                options=options,
                stdin=stdin,
            )
        except CommandError as error:
            if settings.gdb and "Address already in use" in error.stderr:
                raise KbuildError(f"port {settings.gdb} is in use", hint="--gdb PORT names another one") from error
            raise
    report = guest.report()
    if not report.release:
        hint = f"Does it need more memory than {settings.memory} MiB (--memory)? {_tail(report)}"
        raise KbuildError(f"kernel {kernel.release} did not start in QEMU", hint=hint)
    return report


def _listed(number: int, trial: Trial, settings: Settings) -> str:
    parameters = trial.parameters
    if settings.dyndbg and trial.given and trial.has_messages:
        parameters = f"{parameters} dyndbg=+p".strip()
    flags = "d" if trial.given and trial.has_messages else "-"
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


def _how_to_attach(batch: Sequence[Trial], report: BootReport, settings: Settings, scratch: Path) -> str:
    lines = ["", "kbuildpy: the guest waits for a debugger, and goes on with its `continue`:"]
    lines.append(f"gdb -ex 'target remote 127.0.0.1:{settings.gdb}'")
    for number, trial in enumerate(batch):
        sections = report.modules[number].sections if number in report.modules else {}
        if sections:
            lines.append(add_symbol_file(symbol_file(trial, scratch), trial.image, sections))
    return "\n".join([*lines, "", ""])


def _not_tried(ordered: Sequence[Trial], name: str, deadly: set[str], kernel: Kernel) -> Result | None:
    """The result of a module that has no chance, because the kernel does not survive what it needs."""
    bad = sorted(needed_by(ordered, name) & deadly - {name})
    if not bad:
        return None
    trial = next(trial for trial in ordered if trial.name == name)
    complaint = Complaint("needs", f"it was not tried: it needs {bad[0]}, which harms the kernel")
    return Result(str(trial.file), kernel.release, name, trial.parameters, complaints=(complaint,), needs=trial.needs)


def _with_needs(result: Result, ordered: Sequence[Trial], judged: Judged) -> Result:
    """`result`, and why, if the module was not loaded for want of another."""
    if result.loaded or any(complaint.kind == "needs" for complaint in result.complaints):
        return result
    known = {trial.name for trial in ordered}
    for name in result.needs:
        other = judged.final.get(name)
        if name not in known:
            why = "is neither among the modules given nor among the kernel's own"
        elif other and not other.loaded:
            why = "was not loaded"
        else:
            continue
        complaint = Complaint("needs", f"it needs {name}, which {why}")
        return replace(result, complaints=(complaint, *result.complaints))
    return result


def _tail(report: BootReport) -> str:
    return "The last that it said:\n" + "\n".join(report.log[-15:]) if report.log else "It said nothing at all."
