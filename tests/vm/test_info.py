# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy info` tells of the tables in a module, and what a kernel shows that has loaded it: debug messages,
modes of parameters, trace events."""

from __future__ import annotations

import re

import pytest

from kbuildpy.info.report import ModuleInfo, inspect
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.vm import cpio
from kbuildpy.vm.initramfs import busybox_for, make_initramfs
from kbuildpy.vm.machine import machine_of_image
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import EXPEDITED, image_of
from tests.support.kernel_trees import swept
from tests.support.loading import in_dependency_order
from tests.support.packages import NEWEST
from tests.support.samples import built_samples
from tests.support.shipped_kernels import shipped_kernel

pytestmark = pytest.mark.vm

SHIPPED = ("usb-common", "usbcore", "usbserial", "pl2303", "crc16", "jbd2", "mbcache", "rfkill", "cfg80211")
"""Those with many messages, parameters and trace events; each after those that it needs."""
SCRIPT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
control=/sys/kernel/debug/dynamic_debug/control
cat $control >/before
while read -r number name; do
    insmod /modules/$number 2>/dev/null && echo "info: loaded $name" >/dev/kmsg
    for file in /sys/module/$name/parameters/*; do
        [ -e "$file" ] && echo "info: mode $name $(stat -c '%a' $file) ${file##*/}" >/dev/kmsg
    done
    # (a part of the kernel may have the same name)
    awk 'NR == FNR { seen[$0]; next } !($0 in seen)' /before $control | grep -F " [$name]" |
        while read -r place rest; do echo "info: message $name $place $rest" >/dev/kmsg; done
done </modules/list
for system in jbd2 cfg80211 usbcore; do
    for event in /sys/kernel/tracing/events/$system/*/id; do
        [ -e "$event" ] && echo "info: event $(echo $event | cut -d/ -f6,7)" >/dev/kmsg
    done
done
echo "info: end" >/dev/kmsg
poweroff -f
"""


@pytest.fixture(scope="module", params=swept("6.1", "6.12", NEWEST))
def shown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, ModuleInfo], list[list[str]]]:
    """Modules as they are told of, by name, and the words that the kernel shows of them."""
    kernel = shipped_kernel(request.param)
    files = {module_name(file.name): file for file in kernel.modules}
    chosen = [files[module_name(name)] for name in SHIPPED if module_name(name) in files]
    chosen += in_dependency_order(built_samples(kernel.tree, tmp_path_factory))
    told = {module_name(file.name): inspect(read_module(file), str(file), kernel.by_tree) for file in chosen}
    image = image_of(kernel.tree)
    listed = "".join(f"{number} {module_name(file.name)}\n" for number, file in enumerate(chosen))
    contents = {f"modules/{number}": read_module(file) for number, file in enumerate(chosen)}
    initramfs = make_initramfs(
        {**contents, "modules/list": listed.encode()}, busybox=busybox_for(machine_of_image(image))
    )
    initramfs += cpio.archive([cpio.file("show", SCRIPT.encode(), executable=True)])
    booted = boot(image, initramfs, parameters=("rdinit=/show", EXPEDITED), memory=1024, timeout=300)
    said = [line.removeprefix("info: ").split(" ", 2) for line in booted.log if line.startswith("info: ")]
    assert said[-1:] == [["end"]], "\n".join(booted.log[-20:])
    loaded = {words[1] for words in said if words[0] == "loaded"}
    assert len(loaded) > 12
    return {name: info for name, info in told.items() if name in loaded}, said


def words_of(said: list[list[str]], kind: str, name: str) -> list[str]:
    return [words[2] for words in said if words[:2] == [kind, name]]


def test_debug_messages_are_those_that_the_kernel_lists(
    shown: tuple[dict[str, ModuleInfo], list[list[str]]],
) -> None:
    told, said = shown
    compared = 0
    for name, info in told.items():
        listed = [
            re.fullmatch(r'(\S+):(\d+) \[\S+\](\S+) =\S* "(.*)"(?: class:\S+)?', row)
            for row in words_of(said, "message", name)
        ]
        rows = {(row[1], int(row[2]), row[3], plain(row[4])) for row in listed if row}
        assert rows == {(item.file, item.line, item.function, item.format) for item in info.debug_messages}, name
        compared += len(rows)
    assert compared > 100


def plain(text: str) -> str:
    """A format without the escapes that the list has."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text).replace("\\n", "\n").replace("\\t", "\t")


def test_modes_of_parameters_are_those_in_sys(shown: tuple[dict[str, ModuleInfo], list[list[str]]]) -> None:
    told, said = shown
    compared = 0
    for name, info in told.items():
        files = {file: mode for mode, file in map(str.split, words_of(said, "mode", name))}
        assert files == {item.name: f"{item.mode:o}" for item in info.parameters if item.mode}, name
        compared += len(files)
    assert compared > 15


def test_trace_events_are_those_in_tracing(shown: tuple[dict[str, ModuleInfo], list[list[str]]]) -> None:
    told, said = shown
    listed = {words[1] for words in said if words[0] == "event"}
    found = {f"{item.system}/{item.name}" for info in told.values() for item in info.tracepoints if item.system}
    assert found == listed
    assert len(found) > 100
