# SPDX-License-Identifier: GPL-2.0-only
"""A kernel whose blacklist was made by `keygen` refuses the modules of a delegate, and takes those of another one."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.guest_kernels import image_of
from tests.support.loading import Load, load_modules
from tests.support.samples import SAMPLES
from tests.support.small_kernels import small_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]


def do(*words: str | Path) -> None:
    done = kbuildpy(*words)
    assert done.returncode == 0, done.error_text


def test_a_blacklisted_delegate_is_refused_and_its_neighbour_is_not(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    do("keygen", root, "--ca", "--cn", "root", "-a", "rsa-2048")
    for name in ("day", "other"):
        issuer = ("--delegate-of", root, "--delegate-cert", tmp_path / "root.crt")
        do("keygen", tmp_path / f"{name}.pem", "--days", "7", "--cn", name, "-a", "rsa-2048", *issuer)
    blacklist = tmp_path / "day.blacklist"
    config = tmp_path / "blacklist.config"
    config.write_text(
        "CONFIG_SYSTEM_TRUSTED_KEYRING=y\n"
        f'CONFIG_SYSTEM_TRUSTED_KEYS="{tmp_path}/root.crt"\n'
        "CONFIG_SYSTEM_BLACKLIST_KEYRING=y\n"
        f'CONFIG_SYSTEM_BLACKLIST_HASH_LIST="{blacklist}"\n'
    )
    tree = small_kernel("6.12", "signed", config=config, more=("--name", "blacklist-test"))
    try:
        out = tmp_path / "out"
        do("build", SAMPLES / "hello", "-k", tree.objects, "-o", out)
        [module] = out.rglob("hello.ko")
        loads, states = [], []
        for name in ("day", "other"):
            (tmp_path / name).mkdir()
            copy = Path(shutil.copy(module, tmp_path / name))
            pair = ("--key", tmp_path / f"{name}.pem", "--cert", tmp_path / f"{name}.crt")
            do("sign", copy, *pair, "--embed-certificates", "-k", tree.objects)
            loads.append(Load(copy))
            words = ("verify", copy, "--cert", tmp_path / "root.x509", "--revoked", blacklist, "--format", "json")
            states.append(json.loads(kbuildpy(*words).text)["trusted"])
        report = load_modules(image_of(tree), loads, timeout=180)
        refused, taken = (attempt.insmod for attempt in report.modules)
        assert (refused.status, taken.status) == (errno.EKEYREJECTED, 0), (refused.log, taken.log)
        assert states == [False, True]
    finally:
        kbuildpy("kernels", "--remove", tree.release)
