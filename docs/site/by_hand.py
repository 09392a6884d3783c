# SPDX-License-Identifier: GPL-2.0-only
"""Ways to provoke messages of the loader with public tools, and why some cannot be provoked by a file alone.

A row is found by a part of the message that does not vary: of its line, else of its reason. Where a row is a pair, the
second part must be in the reason.
"""

from __future__ import annotations

Part = str | tuple[str, str]

BY_HAND: dict[Part, str] = {
    "Invalid ELF header magic": "`echo text > x.ko; insmod x.ko`",
    "Invalid ELF header len": "`head -c 20 m.ko > x.ko; insmod x.ko`",
    "Invalid ELF header type": "give `insmod` a program, such as `/bin/true`",
    "Invalid architecture in ELF header": "load a module that was built with another `ARCH=`",
    "Invalid ELF section header overflow": "`head -c 1000 m.ko > x.ko; insmod x.ko`",
    "module has no symbols (stripped?)": "`strip m.ko; insmod m.ko`",
    "No module found in object": "load an object file that did not go through modpost: `insmod m.o`",
    ("Exactly one .gnu.linkonce.this_module", "did not go through modpost"): (
        "`insmod m.o`, or `objcopy --remove-section .gnu.linkonce.this_module m.ko; insmod m.ko`"
    ),
    "the file is empty": "`: > x.ko; insmod x.ko`",
    "is loaded already": "`insmod m.ko; insmod m.ko`",
    "is blacklisted": "boot with `module_blacklist=m`, then `insmod m.ko`",
    "version magic": "load a module that was built for another kernel",
    "section size must match": "load a module that was built for a kernel with another configuration",
    ": kernel tainted.": "`modprobe --force-vermagic m`",
    "disagrees about version of symbol": (
        "load a module that was built for another kernel (`modprobe --force-vermagic m` gets past the comparison of "
        "vermagic)"
    ),
    "has invalid WRITE|EXEC flags": (
        "`objcopy --set-section-flags .text=alloc,code,data,contents m.ko`: without `readonly` the section is "
        "writable, too"
    ),
    "please compile with -fno-common": "write `int shared;` at the top of a file, and compile it with `-fcommon`",
    ("Unknown symbol", "is not exported by the kernel"): (
        "declare and call a function that does not exist, and build with `KBUILD_MODPOST_WARN=1`"
    ),
    ("Unknown symbol", "which is not loaded"): (
        "`insmod` a module that needs another one, which modprobe would load before"
    ),
    ("Unknown symbol", "is for GPL-compatible modules"): (
        'write `MODULE_LICENSE("Proprietary")`, use a symbol of `EXPORT_SYMBOL_GPL()`, and build with '
        "`KBUILD_MODPOST_WARN=1`"
    ),
    "but does not import it": "take `MODULE_IMPORT_NS()` out of the source, and build with `KBUILD_MODPOST_WARN=1`",
    ("Unknown symbol", "which the module does not import"): (
        "take `MODULE_IMPORT_NS()` out of the source, and build with `KBUILD_MODPOST_WARN=1`"
    ),
    "exports duplicate symbol": "load two modules that export the same function",
    ("Could not allocate", "all modules together"): "write `static DEFINE_PER_CPU(char [20000], large);` and use it",
    "from reserved chunk failed": "write `static DEFINE_PER_CPU(char [20000], large);` and use it",
    "unable to allocate memory": "write `static char large[1u << 31];` and use it",
    "unknown parameter '": "`insmod m.ko nothing=1`",
    "it takes a number": "`insmod m.ko number=x`, where number is an int",
    "it takes numbers from": "`insmod m.ko number=99999999999`, where number is an int",
    "it takes no negative numbers": "`insmod m.ko number=-1`, where number is an uint",
    "it takes y or n": "`insmod m.ko flag=maybe`, where flag is a bool",
    "it takes 1024 bytes": "`insmod m.ko text=LONG`, where text is a charp and LONG has 1025 letters",
    "it takes <max> bytes": "give a parameter of `module_param_string()` more letters than its buffer has",
    "it takes <max> values": "`insmod m.ko many=1,2,3,4,5`, where many is an array of four",
    "needs a value": "`insmod m.ko number`, where number is an int",
    "it can be switched on": (
        "declare `module_param_cb(flag, &param_ops_bool_enable_only, &flag, 0)` with `static bool flag = true;`, and "
        "load with `flag=0`"
    ),
    "the parameter sets hardware": (
        "boot with `lockdown=integrity` (the module must be signed by a trusted key), and set a parameter of "
        "`module_param_hw()`"
    ),
    "unsafe module parameters is restricted": (
        "boot with `lockdown=integrity`, and set a parameter of `module_param_hw()`"
    ),
    "Setting dangerous option": "declare a parameter with `module_param_unsafe()`, and set it",
    "string parameter too long": "`insmod m.ko text=LONG`, where text is a charp and LONG has 1025 letters",
    "string doesn't fit in": "give a parameter of `module_param_string()` more letters than its buffer has",
    "can only take": "`insmod m.ko many=1,2,3,4,5`, where many is an array of four",
    "after `--' ignored": "`insmod m.ko -- number=1`",
    "parameters/": "declare two parameters of one name with `module_param_named()`",
    "unclosed quote": "`insmod m.ko 'dyndbg=func \"x +p'`",
    "too many words": "`insmod m.ko 'dyndbg=a b c d e f g h i j +p'`",
    "bad flag-op": "`insmod m.ko dyndbg=file`",
    "unknown flag": "`insmod m.ko dyndbg=+x`",
    "expecting pairs": "`insmod m.ko 'dyndbg=func +p'`",
    "unknown keyword": "`insmod m.ko 'dyndbg=nothing x +p'`",
    "overridden by": "`insmod m.ko 'dyndbg=func a func b +p'`",
    "line used 2x": "`insmod m.ko 'dyndbg=line 1 line 2 +p'`",
    "last-line:": "`insmod m.ko 'dyndbg=line 9-2 +p'`",
    "bad line-number": "`insmod m.ko 'dyndbg=line x +p'`",
    "a byte of the parameter is read": (
        "declare `module_param_cb(flag, &param_ops_bool_enable_only, NULL, 0)`, and load with `flag=1`"
    ),
    "may be named without one": (
        "declare a `struct kernel_param_ops` with `.flags = KERNEL_PARAM_OPS_FL_NOARG` and `.set = param_set_int`, "
        "and name the parameter without a value"
    ),
    "is refused itself": "`kbuildpy check a.ko b.ko`, where b.ko needs a.ko, and a.ko is refused",
    "decompression failed": "`xz m.ko` without `--check=crc32`, and `insmod m.ko.xz` with kmod 31 or later",
    "Loading of unsigned module": "boot with `module.sig_enforce=1`, and load a module that is not signed",
    "Loading of module with unavailable key": (
        "boot with `module.sig_enforce=1`, and load a module that you signed with a key of your own"
    ),
    "unsigned module loading is restricted": (
        "boot with `lockdown=integrity`, and load a module that is not signed by a trusted key"
    ),
    "module verification failed": "load a module that is not signed, with a kernel that does not insist",
    "loading out-of-tree module": "load any module of your own",
    "module license '": 'write `MODULE_LICENSE("Proprietary")`',
    "module license taints kernel": 'write `MODULE_LICENSE("Proprietary")`, and load the module first after a boot',
    "Disabling lock debugging": 'write `MODULE_LICENSE("Proprietary")`, and load the module first after a boot',
    "from the staging directory": 'write `MODULE_INFO(staging, "Y");`',
    "loading test module": 'write `MODULE_INFO(test, "Y");`',
    "TAINT_LIVEPATCH": 'write `MODULE_INFO(livepatch, "Y");`',
    "livepatch support is disabled": 'write `MODULE_INFO(livepatch, "Y");`, for a kernel without CONFIG_LIVEPATCH',
    "tries to import module namespace": 'write `MODULE_IMPORT_NS("module:x");`, for a kernel from 6.16 on',
    "inheriting taint": "load a proprietary module that exports a function, and one that uses it",
    "is not loaded": "`rmmod` a name that `lsmod` does not show",
    "is used by": "`rmmod` a module that `lsmod` shows as used by another one",
    "has an init function and no exit function": "leave `module_exit()` out of a module, load it, and `rmmod` it",
    "such as an open file": (
        "`exec 3< /dev/x` for a device of the module (its file_operations have `.owner = THIS_MODULE`), then `rmmod` it"
    ),
    "is being loaded": (
        "write an init function that sleeps for a minute, load the module in the background, and `rmmod` it"
    ),
    "is still being loaded": (
        "write an init function that sleeps for a minute, load the module in the background, and load another one "
        "that uses an export of it"
    ),
    "gave up waiting for init": (
        "write an init function that sleeps for a minute, load the module in the background, and load another one "
        "that uses an export of it"
    ),
    "is being unloaded": (
        "write an exit function that sleeps for a minute, `rmmod` the module in the background, and `rmmod` or load "
        "it again meanwhile"
    ),
    "module has bad taint": 'define a trace event in a module with `MODULE_LICENSE("Proprietary")`',
    "has both .ctors and .init_array": (
        'put a variable into each section: `__attribute__((section(".ctors")))` and `.init_array`, for a kernel with '
        "CONFIG_CONSTRUCTORS"
    ),
    "existing value is nonzero": (
        "load a module whose `struct module` has its pointer to init elsewhere: built against headers of another "
        "configuration, but with the same vermagic"
    ),
    "likely not compiled with": "compile a module with `-mcmodel=small`",
    "overflow in relocation type": "compile a module with `-mcmodel=small`",
}
"""Part of a message -> what to do to see it."""

NEVER: dict[Part, str] = {
    "the kernel cannot unload modules": (
        "It depends on the kernel alone: `rmmod` in a kernel that was built without CONFIG_MODULE_UNLOAD."
    ),
    "the parameters take": (
        "A command line cannot be that long (an argument has 128 KiB at most): a program must call `init_module(2)` "
        "itself, with more than 4 MiB of parameters."
    ),
    "as modpost writes it": (
        "It needs a kernel without CONFIG_MODULE_FORCE_LOAD, and no distribution that the tests ask has one. The "
        "others load such a module, and log `bad vermagic`."
    ),
    "no versions for exported symbols: this kernel": (
        "It needs a kernel with CONFIG_MODVERSIONS and without CONFIG_MODULE_FORCE_LOAD. The others load the module, "
        "and log the line with `kernel tainted`."
    ),
    "it has no versions of symbols": (
        "It needs a kernel with CONFIG_MODVERSIONS and without CONFIG_MODULE_FORCE_LOAD. The others load the module, "
        "and log the symbol's name with `kernel tainted`."
    ),
    "where no function begins": (
        "It needs a kernel with CONFIG_CONSTRUCTORS (KASAN, gcov), and a table .init_array that is damaged. A unit "
        "test has such a module."
    ),
    "dyndbg param is supported only in": (
        "It depends on the kernel alone: `insmod m.ko dyndbg` in a kernel without CONFIG_DYNAMIC_DEBUG."
    ),
    "/kernel/btf/vmlinux": (
        "It needs a kernel with types of modules and without CONFIG_LIVEPATCH: one with live patches refuses the name "
        "vmlinux before."
    ),
    "overlap, and the kernel follows": (
        "On x86-64 the kernel refuses such a module before (`existing value is nonzero`). Kernels of other machines "
        "do not look, and a unit test has such a module."
    ),
    "of .parainstructions": (
        "Only kernels before 6.8 with CONFIG_PARAVIRT have this table, and the modules that the tests damage have "
        "none. A unit test has one."
    ),
    "apply_retpolines": (
        "It needs a module with indirect calls, and the modules that the tests damage have none. A unit test has a "
        "table of such calls with a wrong entry."
    ),
    "__x86_indirect_thunk_rsp": (
        "It needs a module with indirect calls, and the modules that the tests damage have none. A unit test has a "
        "table of such calls with this entry."
    ),
    "whose byte before may not be there": (
        "It needs a module with indirect calls, and the modules that the tests damage have none. A unit test has a "
        "table of such calls with this entry."
    ),
    "no CFI hash found": (
        "It needs a kernel that was built by clang with CONFIG_FINEIBT; the tests have a damage for it (an entry of "
        ".cfi_sites leads to the function itself), and no distribution's kernel to ask."
    ),
    "apply_ibt_endbr": (
        "It needs a kernel with CONFIG_X86_KERNEL_IBT, and the modules that the tests damage have no such table. A "
        "unit test has one."
    ),
    "a distance between large pages": (
        "It needs a kernel that puts code of several modules into large pages (CONFIG_ARCH_HAS_EXECMEM_ROX), and two "
        "relocations of one place. A unit test has both."
    ),
    "writes over a part of the pointer": (
        "On x86-64 the kernel refuses such a module before (`existing value is nonzero`). Kernels of other machines "
        "do not look, and a unit test has such a module."
    ),
    "a pointer is relocated by symbol": (
        "Such a relocation ends the check before, where the kernel applies it. A unit test asks this part alone."
    ),
    "has multiple candidates": (
        "It depends on the kernel's own types: one must have two types of the same name and size. A unit test has "
        "such a pair."
    ),
    "Invalid module architecture": (
        "Only powerpc has two ABIs for one machine: a module of the other one, for a kernel from 6.2 on."
    ),
}
"""Part of a message -> why a file alone does not provoke it."""
