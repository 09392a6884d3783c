# SPDX-License-Identifier: GPL-2.0-only
"""The keys that a kernel shows in /proc/keys are read as those that are built into its image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbuildpy.kernel.rooted import Rooted
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.qemu import boot
from kbuildpy.which.live_keys import BUILT_IN, read_live_keys
from kbuildpy.which.machine_keyring import _identifier, machine_keyring
from tests.support.guest_kernels import boots_x86_64, image_of, tree_called
from tests.support.packages import NEWEST

pytestmark = [pytest.mark.vm, boots_x86_64, pytest.mark.sweep]

INIT = b"""#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r line; do echo "keys: $line" >/dev/kmsg; done </proc/keys
echo "keys: end" >/dev/kmsg
poweroff -f
"""


@pytest.mark.parametrize("line", ["6.1", "6.12", NEWEST])
def test_the_keys_of_a_running_kernel_are_those_of_its_image(line: str, tmp_path: Path) -> None:
    image = image_of(tree_called(line))
    log = boot(image, make_initramfs({}, init=INIT), parameters=("printk.devkmsg=on",), timeout=300).log
    shown = [found[1] for entry in log if (found := re.search(r"keys: (.*)", entry))]
    assert shown[-1] == "end"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/keys").write_text("\n".join(shown[:-1]) + "\n")
    live = read_live_keys(Rooted(tmp_path))
    own = load_kernel(image)
    assert live.problem == ""
    assert live.counts[BUILT_IN] == len(own.certificates) > 0
    assert {_identifier(each) for each in own.certificates} <= {key.identifier for key in live.keys}
    names = {key.subject for key in live.keys}
    assert all(any(each.name in name for name in names) for each in own.certificates)
    (tmp_path / "sys/firmware").mkdir(parents=True)
    kernel = LoaderKernel(own.kernel, (6, 1), "x86_64", keyring=lambda: own)
    keys = machine_keyring(kernel, Rooted(tmp_path), runs=True, takes_platform=True)
    assert keys.keyring is not None and len(keys.keyring.certificates) == len(own.certificates)
