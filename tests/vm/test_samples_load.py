# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels load and remove the sample modules: Debian's 6.1 and 6.12, and its kernels for arm64, one boot each."""

from __future__ import annotations

import errno
import shutil

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.machine import machine_for
from tests.support.foreign_trees import FOREIGN
from tests.support.guest_kernels import image_of, one_of, tree_called
from tests.support.kernel_trees import swept
from tests.support.loading import Load, LoadReport, ModuleReport, in_dependency_order, load_modules
from tests.support.packages import NEWEST
from tests.support.riscv64 import RISCV64_LINES
from tests.support.samples import SAMPLES, built_samples

pytestmark = pytest.mark.vm

PARAMETERS = {
    "params": ("who=kernel", "count=2", "loud=1", "primes=2,3,5", "percent=80"),
    "debug_messages": ("dyndbg=+p",),
}


def rotating_checksum(text: str) -> int:
    """What sample_modules/composite computes, with the rotation that it does in assembly."""
    value = 0
    for byte in text.encode():
        value = ((value << 5 | value >> 27) & 0xFFFFFFFF) ^ byte
    return value


# What each sample logs when it is loaded, and when it is removed.
LOGGED = {
    "hello": (["hello, world"], ["goodbye, world"]),
    "params": (
        [
            "percent is now 80",
            "hello, kernel!",
            "hello, kernel!",
            "primes[0] = 2",
            "primes[1] = 3",
            "primes[2] = 5",
            "loaded, percent is 80",
        ],
        ["removed, percent was 80"],
    ),
    "composite": (
        [
            *(f'checksum of "{text}" is {rotating_checksum(text):08x}' for text in ("a", "abc", "composite")),
            "loaded",
        ],
        ["removed"],
    ),
    "exporter": (["loaded"], ["removed after 2 tickets"]),
    "exporter_user": (["got tickets 1 and 2, 2 given out"], ["removed"]),
    "chardev": (["loaded, /dev/chardev is ready"], ["removed"]),
    "debug_messages": (
        [
            *(f"step {step}: {number}" for step, number in enumerate([6, 3, 10, 5, 16, 8, 4, 2])),
            "loaded, 6 reaches 1 in 8 steps",
        ],
        ["removing", "removed"],
    ),
}


@pytest.fixture(
    scope="module", params=[*one_of("6.12", "6.1"), "6.12-arm64", *swept(NEWEST, "arm64", *RISCV64_LINES, *FOREIGN)]
)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadReport:
    """All samples in one boot, in dependency order; before them exporter_user, which then lacks exporter."""
    tree = tree_called(request.param)
    machine = machine_for(architecture_of(tree))
    if shutil.which(machine.qemu) is None:
        pytest.skip(f"{machine.qemu} is not installed")
    modules = built_samples(tree, tmp_path_factory)
    too_early = next(module for module in modules if module.stem == "exporter_user")
    order = [too_early, *in_dependency_order(modules)]
    loads = [Load(module, PARAMETERS.get(module.stem, ())) for module in order]
    return load_modules(image_of(tree), loads, timeout=500)


def loaded(report: LoadReport, name: str) -> ModuleReport:
    """The last attempt with the module called `name`."""
    return next(module for module in reversed(report.modules) if module.name == name)


def lines_of(name: str, log: tuple[str, ...]) -> list[str]:
    """What module `name` said itself; the kernel's remarks about taints begin with its name, too."""
    own = [line.removeprefix(f"{name}: ") for line in log if line.startswith(f"{name}: ")]
    return [line for line in own if "taint" not in line]


def test_every_sample_is_tried() -> None:
    assert set(LOGGED) == {kbuild.parent.name for kbuild in SAMPLES.glob("*/Kbuild")}


@pytest.mark.parametrize("name", LOGGED)
def test_loads_and_logs_what_it_should(report: LoadReport, name: str) -> None:
    module = loaded(report, name)
    assert (module.insmod.status, module.insmod.message) == (0, "")
    assert lines_of(name, module.insmod.log) == LOGGED[name][0]


@pytest.mark.parametrize("name", LOGGED)
def test_is_removed_and_says_so(report: LoadReport, name: str) -> None:
    removal = loaded(report, name).rmmod
    assert removal is not None
    assert (removal.status, removal.message) == (0, "")
    assert lines_of(name, removal.log) == LOGGED[name][1]


@pytest.mark.parametrize("name", LOGGED)
def test_is_live_and_taints_as_any_unsigned_module_from_outside_the_tree(report: LoadReport, name: str) -> None:
    module = loaded(report, name)
    size, _users, _used_by, state = module.line.removeprefix(f"{name} ").split()[:4]
    assert int(size) > 0
    assert state == "Live"
    assert module.taints == "OE"


def test_the_kernel_refuses_a_user_whose_exporter_is_not_loaded(report: LoadReport) -> None:
    refused = report.modules[0]
    assert refused.name == "exporter_user"
    assert refused.insmod.status == errno.ENOENT
    assert "exporter_user: Unknown symbol exporter_next_ticket (err -2)" in refused.insmod.log
    assert (refused.line, refused.rmmod) == ("", None)


def test_the_kernel_has_nothing_else_to_complain_about(report: LoadReport) -> None:
    taint_oot_module, taint_unsigned_module = 1 << 12, 1 << 13
    assert report.tainted == taint_oot_module | taint_unsigned_module
    complaints = ("WARNING:", "BUG:", "Oops:", "Internal error:", "Call Trace:", "Call trace:")
    assert not [line for line in report.log if line.startswith(complaints)]
