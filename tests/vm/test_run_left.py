# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy run` tells of modules that leave something behind, when the kernel itself says nothing of it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.in_tree import fetch_kernel_modules
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.machine import machine_for
from kbuildpy.vm.qemu import boot
from tests.support.bad_modules import SOURCES, build
from tests.support.guest_kernels import boots_x86_64, image_of, tree_called
from tests.support.guest_runs import Ran, kbuildpy_run
from tests.support.kernel_trees import swept
from tests.support.samples import built_samples

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]

# What is left of each, as it is named.
LEFT = {
    "left_entry": ["/proc/left_entry"],
    "left_cache": ["/proc/slabinfo: left_cache"],
    "left_device": ["/dev/left_device", "/sys/class/misc/left_device"],
    "left_in_vain": ["/proc/vain"],
    "left_thread": ["thread: left_thread"],
}

# Of the kernel's own, some that make much, and need others.
SHIPPED = ("xfs", "loop", "zram", "dm_crypt", "nf_tables", "bridge", "wireguard", "snd_dummy", "usb_storage", "vcan")


def ran(*words: str | Path) -> Ran:
    done = kbuildpy_run(*words, "--format", "json")
    results = {item["name"]: item for item in map(json.loads, done.text.splitlines())}
    assert len(results) == sum(isinstance(word, Path) for word in words), done.error_text
    return Ran(results, done)


@pytest.fixture(scope="module", params=["6.12", *swept("6.1")])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = {name: text for name, text in SOURCES.items() if name.startswith("left_") or name == "good"}
    return build(tree_called(request.param), tmp_path_factory.mktemp("left") / "modules", sources)


def test_what_is_left_behind_is_a_complaint_about_the_module_that_it_came_with(files: dict[str, Path]) -> None:
    found = ran(*(files[name] for name in ("good", *LEFT)))
    assert found.done.returncode == 1
    assert found.results["good"]["passed"]
    for name, things in LEFT.items():
        reason = found.results[name]["complaints"][-1]["words"]
        assert reason == f"the module left something behind: {', '.join(things)}"
        assert found.kinds(name) == (["init", "leak"] if name == "left_in_vain" else ["leak"])
    assert found.done.error_text.count("kbuildpy: booting again for ") == 1


def test_a_module_that_is_alone_needs_one_boot_for_that(files: dict[str, Path]) -> None:
    found = ran(files["left_device"])
    assert found.kinds("left_device") == ["leak"]
    assert "booting again" not in found.done.error_text


@pytest.mark.parametrize("name", ["left_filesystem", *swept("left_timer")])
def test_what_still_uses_the_memory_of_a_module_is_blamed_on_it(files: dict[str, Path], name: str) -> None:
    # (the last to be removed is the first)
    found = ran(files["good"], files[name])
    assert found.results["good"]["passed"], found.done.text
    assert (found.results[name]["removed"], found.kinds(name)) == (True, ["oops"])
    assert f"(in memory that was {name}'s)" in found.results[name]["reason"]


@pytest.mark.parametrize("line", swept("6.12", "6.1"))
def test_samples_and_the_kernels_own_modules_leave_nothing_behind(
    line: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = tree_called(line)
    shipped = fetch_kernel_modules(tree.release, machine=machine_for(architecture_of(tree))).files()
    found = ran(*built_samples(tree, tmp_path_factory), *(shipped[name] for name in SHIPPED), "--memory", "1024")
    assert found.done.returncode == 0, found.done.text
    assert "booting again" not in found.done.error_text


IS_LATE = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /run
{function}
tell() {{
    for thing in "$@"; do
        if is_late "$thing"; then echo "$when: $thing is late"; else echo "$when: $thing is no news"; fi
    done
}}
while [ ! -e /sys/class/input/input0 ]; do sleep 0.2; done
find /sys/devices -name driver >/run/all
when=before
grep -v /serio0/driver /run/all >/run/bound
tell /sys/class/input/input0 /sys/bus/serio/devices/serio0 /sys/class/tty/ttyS0 /dev/null /proc/version
when=after
cp /run/all /run/bound
tell /sys/class/input/input0 /sys/bus/serio/devices/serio0
poweroff -f
"""


@pytest.mark.parametrize("line", ["6.12", *swept("6.1")])
def test_a_device_that_a_driver_of_the_kernels_own_took_late_is_nobodys(line: str) -> None:
    # (it is a matter of luck whether the kernel is late; the keyboard stands for what it has found meanwhile)
    script = resources.files("kbuildpy.vm").joinpath("guest_run.sh").read_text()
    function = script[script.index("is_late() {") : script.index("\n}\n", script.index("is_late() {")) + 3]
    initramfs = make_initramfs({}, init=IS_LATE.format(function=function).encode())
    log = boot(image_of(tree_called(line)), initramfs, timeout=300).log
    assert [text for text in log if text.startswith(("before: ", "after: "))] == [
        "before: /sys/class/input/input0 is late",
        "before: /sys/bus/serio/devices/serio0 is late",
        "before: /sys/class/tty/ttyS0 is no news",
        "before: /dev/null is no news",
        "before: /proc/version is no news",
        "after: /sys/class/input/input0 is no news",
        "after: /sys/bus/serio/devices/serio0 is no news",
    ]
