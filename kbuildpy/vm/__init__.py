"""Boots a kernel in QEMU and loads modules in it.

From the outside in: `load` loads modules and tells what the kernel said to each, `qemu` boots, `initramfs`
packs what the guest needs (`cpio` is the archive's format, `guest_init.sh` the guest's process 1), and `image`
finds the kernel.
"""

from kbuildpy.vm.image import fetch_kernel_image, find_kernel_image
from kbuildpy.vm.initramfs import find_busybox, make_initramfs
from kbuildpy.vm.load import Attempt, Load, LoadReport, ModuleReport, in_dependency_order, load_modules
from kbuildpy.vm.qemu import BootResult, accelerator, boot

__all__ = [
    "Attempt",
    "BootResult",
    "Load",
    "LoadReport",
    "ModuleReport",
    "accelerator",
    "boot",
    "fetch_kernel_image",
    "find_busybox",
    "find_kernel_image",
    "in_dependency_order",
    "load_modules",
    "make_initramfs",
]
