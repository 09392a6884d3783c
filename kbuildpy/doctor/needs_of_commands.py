# SPDX-License-Identifier: GPL-2.0-only
"""What each command needs. A test compares the programs with those that the code starts or looks for.

The first part of a command, without a purpose, is what the command cannot do without; the others are what it does for
some calls only.
"""

from __future__ import annotations

from kbuildpy.doctor.need import HEADER, CommandPart, MachineNeed, fact, programs, pythons
from kbuildpy.kernel_build.requirements import HEADERS, HEADERS_OF_OPTIONS, OF_OPTIONS, PROGRAMS, SSL_HEADER
from kbuildpy.lint.checkers import CHECKERS
from kbuildpy.vm.machine import MACHINES

LIBRARIES = pythons("scons>=4.4", "pyelftools>=0.29", "cryptography>=38", "jinja2>=3.1", "tqdm>=4.64")
"""What `pip install kbuildpy` brings."""
PKCS11 = (*pythons("python-pkcs11>=0.9"), fact("PKCS#11 library", "libp11-kit0"))
SERVERS = pythons("fsspec>=2024.9", "aiohttp>=3.9", "s3fs>=2024.9", "redis>=5")

_SCONS, _ELFTOOLS, _CRYPTOGRAPHY, _JINJA2, _TQDM = LIBRARIES
_TREE = fact("kernel tree", "linux-headers")
_LLVM = programs("clang ld.lld llvm-ar llvm-nm llvm-objcopy")
_NATIVE = tuple(machine for machine in MACHINES if machine.native)
_FOREIGN = tuple(machine for machine in MACHINES if not machine.native)

_BUILDING = CommandPart((*programs("make ld nm objcopy"), fact("compiler"), _TREE, _SCONS, _JINJA2))
_BUILD_PARTS = (
    CommandPart(programs("pahole"), "kernels with type information (BTF)"),
    CommandPart(programs("sparse"), "C=1"),
    CommandPart(_LLVM, "LLVM=1, kernels that were built with clang"),
    CommandPart(programs("rustc"), "modules in Rust"),
    CommandPart((fact("namespaces"),), "Kbuild files with rules of their own, without copying the directory"),
    CommandPart(SERVERS, "shared caches on servers"),
    CommandPart(programs("clangd"), "--compile-commands, in an editor"),
)
_CROSS = tuple(
    CommandPart((MachineNeed("program", machine.compiler, machine.compiler_package),), f"kernels of {machine.name}")
    for machine in _FOREIGN
)
_SIGNING = CommandPart((_CRYPTOGRAPHY,))
_TOKENS = CommandPart(PKCS11, "keys in hardware")
_COMPRESSED = CommandPart(programs("zstd"), "modules that are compressed with zstd")
_BOOTING = CommandPart((*programs(machine.qemu for machine in _NATIVE), *programs("busybox"), fact("kernel image")))
_KERNEL_BUILD = CommandPart(
    (
        *(MachineNeed("program", program, package) for program, package in PROGRAMS.items()),
        *(MachineNeed(HEADER, header, package) for header, package in HEADERS.items()),
    )
)
_KERNEL_PARTS = (
    CommandPart(
        (MachineNeed(HEADER, str(SSL_HEADER), "libssl-dev"), *programs(OF_OPTIONS["MODULE_SIG"])), "CONFIG_MODULE_SIG"
    ),
    CommandPart(programs(OF_OPTIONS["DEBUG_INFO_BTF"]), "CONFIG_DEBUG_INFO_BTF"),
    CommandPart(
        tuple(MachineNeed(HEADER, name, package) for name, package in HEADERS_OF_OPTIONS["GENDWARFKSYMS"].items()),
        "CONFIG_GENDWARFKSYMS",
    ),
    CommandPart((*programs("g++"), fact("headers for gcc's plugins")), "CONFIG_GCC_PLUGINS"),
    CommandPart(programs("gawk"), "CONFIG_SYSTEM_BLACKLIST_HASH_LIST"),
    CommandPart(programs(OF_OPTIONS["RUST"]), "CONFIG_RUST"),
    CommandPart(programs(OF_OPTIONS["KERNEL_ZSTD"]), "CONFIG_KERNEL_ZSTD"),
    CommandPart(_LLVM, "--llvm, sets that need clang"),
    CommandPart(programs("apt-get apt-cache"), "sources of the distribution"),
)
_AUTHOR = "the author's name and address, of git's configuration"
_FETCHING = programs("apt-get apt-cache dpkg-deb")

PARTS: dict[str, tuple[CommandPart, ...]] = {
    "new": (
        CommandPart((_JINJA2,)),
        CommandPart(programs("git"), "the author's name and address, of git's configuration"),
    ),
    "init": (
        CommandPart((_JINJA2,)),
        CommandPart(programs("make"), "Makefiles that call Kbuild"),
        CommandPart(programs("git"), _AUTHOR),
    ),
    "build": (_BUILDING, *_BUILD_PARTS, *_CROSS),
    "watch": (_BUILDING,),
    "lint": (
        _BUILDING,
        *(
            CommandPart(
                programs(each.program) + ((fact("kernel sources"),) if each.script else ()), f"--checker {each.name}"
            )
            for each in CHECKERS.values()
            if each.program
        ),
    ),
    "explain": (CommandPart((*programs("make"), fact("compiler"), _TREE)),),
    "check": (CommandPart((_CRYPTOGRAPHY, _ELFTOOLS, fact("kernel to judge by", "linux-headers"))), _COMPRESSED),
    "keygen": (_SIGNING, CommandPart(PKCS11, "--delegate-of a key in hardware")),
    "sign": (_SIGNING, _TOKENS, CommandPart(programs("strip objcopy"), "--strip, --debug-files"), _COMPRESSED),
    "verify": (_SIGNING, _COMPRESSED),
    "provenance": (_SIGNING, _TOKENS),
    "sbom": (CommandPart(()),),
    "reproduce": (_BUILDING, CommandPart((fact("namespaces"),), "builds at the recorded path")),
    "install": (
        CommandPart((*programs("make"), _TREE)),
        CommandPart(programs("depmod"), "the index of modules"),
        CommandPart(programs("strip"), "INSTALL_MOD_STRIP"),
        CommandPart(programs("xz zstd gzip"), "kernels with compressed modules"),
        CommandPart((_CRYPTOGRAPHY,), "--key"),
        _TOKENS,
    ),
    "package": (
        _SIGNING,
        CommandPart(programs("dpkg-deb"), "deb, dkms-deb"),
        CommandPart(programs("rpmbuild rpm2cpio cpio"), "rpm"),
        CommandPart(programs("mksquashfs unsquashfs depmod"), "sysext"),
        CommandPart(programs("mkfs.erofs fsck.erofs depmod"), "sysext --file-system erofs"),
        CommandPart(programs("veritysetup openssl"), "sysext --verity"),
        CommandPart(programs("depmod"), "oci"),
        CommandPart(programs("busybox"), "oci --cp"),
        CommandPart(programs("zstd"), "tar"),
    ),
    "cache": (CommandPart(()), CommandPart(SERVERS, "caches on servers")),
    "dkms": (
        CommandPart((*programs("bash make depmod strip tar"), fact("compiler"), _TREE, _SCONS, _JINJA2)),
        CommandPart((fact("root"),), "build and install"),
        CommandPart(programs("xz zstd gzip"), "kernels with compressed modules"),
        CommandPart((_CRYPTOGRAPHY,), "signing"),
        CommandPart(programs("dpkg-deb"), "hooks --deb"),
    ),
    "run": (
        _BOOTING,
        CommandPart((fact("KVM"),), "boots at the processor's speed"),
        CommandPart(programs("apt-get dpkg-deb"), "kernels that are not installed"),
        CommandPart(programs("depmod"), "modules of the kernel that they need"),
        CommandPart(
            (
                *programs("gcc"),
                MachineNeed(HEADER, "stdio.h", HEADERS["stdio.h"]),
                fact("static C library", HEADERS["stdio.h"]),
            ),
            "tests in C",
        ),
        CommandPart(programs("gdb"), "--gdb"),
        *(CommandPart(programs(machine.qemu), f"kernels of {machine.name}") for machine in _FOREIGN),
        CommandPart(_KERNEL_BUILD.needs, "--with"),
        CommandPart(programs("gcov"), "--coverage"),
    ),
    "matrix": (
        _BUILDING,
        CommandPart(pythons("distributed>=2024.1"), "--executor dask"),
        CommandPart(programs("sbatch squeue scancel"), "--executor slurm"),
        CommandPart(_BOOTING.needs, "the step run"),
    ),
    "info": (CommandPart(()), _COMPRESSED),
    "graph": (CommandPart(()), _COMPRESSED),
    "decode": (CommandPart(()), _COMPRESSED),
    "debug": (CommandPart(()), CommandPart(programs("gdb drgn"), "the commands that it prints")),
    "which": (
        CommandPart((_CRYPTOGRAPHY, _ELFTOOLS)),
        CommandPart(programs("modprobe"), "what this machine's kmod can read"),
    ),
    "abi": (CommandPart(()), _COMPRESSED),
    "preflight": (
        CommandPart((_CRYPTOGRAPHY, _ELFTOOLS)),
        CommandPart(programs("dpkg-query apt-cache apt-mark"), "--hold, and what apt would install"),
        CommandPart(_BUILDING.needs, "--build"),
    ),
    "kernel": (_KERNEL_BUILD, *_KERNEL_PARTS),
    "kernels": (
        CommandPart(()),
        CommandPart(_FETCHING, "--available and --fetch"),
        CommandPart(programs("depmod"), "--fetch --images"),
    ),
    "doctor": (CommandPart(()),),
    "report": (CommandPart(()),),
    "completion": (CommandPart(()),),
}
"""Each command with its parts."""
