# SPDX-License-Identifier: GPL-2.0-only
"""Booting always ends, and says how."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.find import installed_trees
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.machine import ARM64, X86_64
from kbuildpy.vm.qemu import accelerator, boot

needs_qemu = pytest.mark.skipif(
    os.uname().machine != "x86_64" or shutil.which("qemu-system-x86_64") is None,
    reason="boots x86-64 kernels in QEMU",
)


@pytest.fixture(scope="module")
def kernel() -> Path:
    """The image of the oldest kernel whose headers are installed."""
    trees = [tree for tree in installed_trees().trees if is_native(architecture_of(tree))]
    if not trees:
        pytest.skip("no kernel headers are installed")
    return fetch_kernel_image(trees[0].release)


@pytest.mark.vm
@needs_qemu
def test_a_kernel_that_panics_ends_the_boot(kernel: Path) -> None:
    booted = boot(kernel, make_initramfs({}), parameters=("rdinit=/no-such-init", "root=/dev/none"), timeout=300)
    assert not booted.timed_out
    assert any(line.startswith("Kernel panic - not syncing: ") for line in booted.log)


@pytest.mark.vm
@needs_qemu
def test_a_boot_is_stopped_when_its_time_is_up(kernel: Path) -> None:
    booted = boot(kernel, make_initramfs({}), timeout=1)
    assert booted.timed_out
    assert booted.seconds < 30


def test_kvm_is_not_used_on_a_processor_without_virtualization(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu vme sse sse2 hypervisor\n")
    assert accelerator(X86_64, host="x86_64", cpuinfo=cpuinfo) == "tcg"


def test_kvm_is_not_used_where_no_virtual_machine_can_be_made(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu vme vmx sse sse2\n")
    assert accelerator(X86_64, host="x86_64", cpuinfo=cpuinfo, kvm=tmp_path / "missing") == "tcg"
    no_device = tmp_path / "kvm"
    no_device.touch()
    assert accelerator(X86_64, host="x86_64", cpuinfo=cpuinfo, kvm=no_device) == "tcg"


def test_kvm_is_not_used_for_a_foreign_architecture(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: vmx\n")
    assert accelerator(ARM64, host="x86_64", cpuinfo=cpuinfo) == "tcg"
    assert accelerator(X86_64, host="aarch64", cpuinfo=cpuinfo) == "tcg"
