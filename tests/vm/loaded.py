# SPDX-License-Identifier: GPL-2.0-only
"""Modules that stay loaded in a kernel, all in one boot: what the kernel shows of each, and what the check says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.verdict import Verdict
from kbuildpy.vm import cpio
from kbuildpy.vm.initramfs import busybox_for, make_initramfs
from kbuildpy.vm.machine import machine_of_image
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import EXPEDITED

SCRIPT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
say() {
    echo "loaded: $*" >/dev/kmsg
}
while read -r number name; do
    insmod /modules/$number 2>/dev/null
    say "status $? $name"
    [ -e /sys/module/$name/sections ] || continue
    say "line $(grep "^$name " /proc/modules)"
    cd /sys/module/$name/sections
    # (many to a line, and without 0xffff: the console takes its time for each byte)
    awk '{ sub(/^0x(ffff)?/, ""); said = said " " FILENAME ":" $0 }
         length(said) > 800 { print "loaded: sections" said; fflush(); said = "" }
         END { if (said) print "loaded: sections" said }' * .[!.]* >/dev/kmsg
done </modules/list
say end
poweroff -f
"""


@dataclass(frozen=True)
class Shown:
    """What the kernel showed of a module: insmod's errno, the line of /proc/modules right after it was loaded, and the
    addresses of its sections. Of one whose init failed there is but the errno."""

    name: str
    status: int
    line: str
    sections: dict[str, int]

    @property
    def size(self) -> int:
        """The bytes that /proc/modules says."""
        return int(self.line.split()[1])

    @property
    def taints(self) -> str:
        """The letters that it shows."""
        return self.line.split("(")[-1].rstrip(")+-") if "(" in self.line else ""


def load_all(kernel: Path, modules: Sequence[tuple[str, bytes]], *, timeout: float) -> list[Shown]:
    """Boot the image `kernel` and load `modules` (name and contents) in that order."""
    listed = "".join(f"{number} {name}\n" for number, (name, _) in enumerate(modules))
    contents = {f"modules/{number}": module for number, (_, module) in enumerate(modules)}
    initramfs = make_initramfs(
        {**contents, "modules/list": listed.encode()}, busybox=busybox_for(machine_of_image(kernel))
    )
    initramfs += cpio.archive([cpio.file("load_all", SCRIPT.encode(), executable=True)])
    booted = boot(kernel, initramfs, parameters=("rdinit=/load_all", EXPEDITED), memory=1024, timeout=timeout)
    said = [line.removeprefix("loaded: ") for line in booted.log if line.startswith("loaded: ")]
    assert said[-1:] == ["end"], "\n".join(booted.log[-20:])
    shown: list[Shown] = []
    for word, _, rest in (line.partition(" ") for line in said):
        if word == "status":
            status, _, name = rest.partition(" ")
            shown.append(Shown(name, int(status), "", {}))
        elif word == "line":
            shown[-1] = Shown(shown[-1].name, shown[-1].status, rest, {})
        elif word == "sections":
            for section in rest.split():
                name, _, address = section.rpartition(":")
                shown[-1].sections[name] = int(address, 16)
    return shown


def predicted(kernel: LoaderKernel, modules: Sequence[tuple[str, bytes]], shown: Sequence[Shown]) -> list[Verdict]:
    """The verdict on each module in a kernel that has loaded those before it, and is tainted by them."""
    loaded = Modules()
    verdicts = []
    for (_, contents), seen in zip(modules, shown, strict=True):
        verdict, after = load_module(contents, kernel, loaded, on_demand=False)
        loaded = after if seen.line else loaded
        kernel = replace(kernel, tainted=kernel.tainted + verdict.taints)
        verdicts.append(verdict)
    return verdicts
