# SPDX-License-Identifier: GPL-2.0-only
"""Devices of a guest, as QEMU's -device has them: what USB devices are attached to, and what QEMU refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kbuildpy.errors import CommandError, UsageError
from kbuildpy.vm.machine import Machine

_CONTROLLER, _ITS_DRIVER = "qemu-xhci", "xhci_pci"


def with_controller(devices: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`devices`, with a USB controller before them if there are USB devices and nothing that they could be attached to;
    and the kernel's module that drives it, where it is one (`?`)."""
    names = [device.split(",")[0] for device in devices]
    controllers = [name for name in names if re.search(r"[xeuo]hci", name)]
    if controllers or not any(name.startswith("usb-") for name in names):
        return tuple(devices), ()
    return (_CONTROLLER, *devices), (f"?{_ITS_DRIVER}",)


def check_devices(devices: Sequence[str]) -> None:
    """Raise `UsageError` for what is no device, but a question that QEMU would answer instead of booting."""
    for device in devices:
        if not device.strip():
            raise UsageError("--device: an empty name")
        if {"help", "?"} & set(device.split(",")):
            raise UsageError(
                f"--device {device}: this asks QEMU for help, and boots no guest",
                hint=f"qemu-system-x86_64 -device {device}",
            )


def raise_for_device(devices: Sequence[str], error: CommandError, machine: Machine) -> None:
    """Raise `UsageError` if `error` is what QEMU says of one of `devices`, with QEMU's own words."""
    if devices and "-device" in error.stderr:
        words = error.stderr.strip().removeprefix(f"{machine.qemu}: -device ")
        raise UsageError(f"--device {words}", hint=f"`{machine.qemu} -device help` lists them") from error
