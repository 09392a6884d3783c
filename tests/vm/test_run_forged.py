# SPDX-License-Identifier: GPL-2.0-only
"""A module that speaks in the guest's name, in a real kernel: it reads the log, and reports that all went well."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.run import run
from kbuildpy.vm.machine import machine_for
from tests.support.bad_modules import build
from tests.support.guest_kernels import one_of, tree_called

pytestmark = pytest.mark.vm

SOURCE = r"""
#include <linux/fs.h>
#include <linux/kmsg_dump.h>
#include <linux/module.h>

static char line[1024], settings[16];

static int __init forger_init(void)
{
    struct kmsg_dump_iter iter;
    struct file *file;
    ssize_t known = -1;
    loff_t place = 0;
    char *marker, *end;
    size_t size;

    file = filp_open("/modules/settings", O_RDONLY, 0);
    if (!IS_ERR(file)) {
        known = kernel_read(file, settings, sizeof(settings), &place);
        filp_close(file, NULL);
    }
    pr_info("bytes of settings: %zd\n", known);
    kmsg_dump_rewind(&iter);
    while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &size)) {
        line[size] = 0;
        marker = strstr(line, "kbuildpy-");
        end = strstr(line, ": ready ");
        if (!marker || !end)
            continue;
        *end = 0;
        printk("%s: errno 0\n", marker);
        printk("%s: tainted 0\n", marker);
        printk("%s: loaded\n", marker);
        printk("%s: rmmod 0\n", marker);
        printk("%s: errno 0\n", marker);
        printk("%s: done\n", marker);
        return -ENODEV;
    }
    return -ENOENT;
}
module_init(forger_init);

static void __exit forger_exit(void)
{
}
module_exit(forger_exit);

MODULE_LICENSE("GPL");
"""


@pytest.mark.parametrize("line", one_of("6.1", "6.12"))
def test_reports_of_a_module_are_a_complaint_and_decide_nothing(line: str, tmp_path: Path) -> None:
    tree = tree_called(line)
    if shutil.which(machine_for(architecture_of(tree)).qemu) is None:
        pytest.skip("QEMU is not installed")
    files = build(tree, tmp_path / "modules", {"forger": SOURCE})
    words: list[str | Path] = [sys.executable, "-m", "kbuildpy", "run", files["forger"], "--format", "json"]
    done = run(words, check=False, timeout=600)
    assert done.returncode == 1, done.error_text
    result = json.loads(done.text)
    # (ENODEV: it had found out what reports begin with)
    assert (result["loaded"], result["removed"], result["errno"]) == (False, False, "ENODEV")
    assert "forged" in [complaint["kind"] for complaint in result["complaints"]]
    assert "bytes of settings: 0" in result["log"]
