# SPDX-License-Identifier: GPL-2.0-only
"""Lines that the kernel logs while it goes on: what each means, and what to do. (Of a refusal the code of the loader
check has both.)

A row is found by a part of its line that does not vary.
"""

from __future__ import annotations

from typing import NamedTuple


class SaidLine(NamedTuple):
    """The meaning of a line."""

    why: str
    to_do: str


_NOTHING = "Nothing: the module is loaded, and works."
_REBUILD = "Build it again for this kernel, with its headers: kbuildpy build -k RELEASE."
_OBJTOOL = "Build it again with this kernel's headers and its objtool, which write the table."
_REFUSAL = "See the refusal that follows: the module is not loaded."

SAID_LINES = {
    # machines
    "module_emit_plt_entry": SaidLine(
        "A branch does not reach its target, and the kernel has reserved no entry of the PLT for it. The module is "
        "refused.",
        "Compile it with the flags of the kernel tree, as make and kbuildpy build do.",
    ),
    "-bit relocation.": SaidLine(
        "A sum that relocations compute does not fit into its field. The kernel leaves the field as it was, and loads "
        "the module, which then has a wrong number there.",
        "Build it again with the compiler and the flags of the kernel tree, and do not load it before.",
    ),
    "is not in kernel cpufeature list": SaidLine(
        "An entry of .alternative is for a feature of the processor that this kernel does not know. It is left out: "
        "the code stays as it was compiled.",
        _REBUILD,
    ),
    "no CFI hash found at": SaidLine(
        "An entry of .cfi_sites does not lead to the hash in front of a function. With this line the kernel gives up "
        "rewriting the hashes; indirect calls of the module's functions may then fail.",
        _OBJTOOL,
    ),
    "apply_retpolines": SaidLine(
        "An entry of .retpoline_sites does not lead to a call or jump to __x86_indirect_thunk_REGISTER. The kernel "
        "leaves the code there as it is.",
        _OBJTOOL,
    ),
    "missing return thunk": SaidLine(
        "An entry of .return_sites does not lead to a jump to __x86_return_thunk. The kernel leaves the code there as "
        "it is, so that return has no protection against speculation.",
        _OBJTOOL,
    ),
    "apply_ibt_endbr": SaidLine(
        "An entry of .ibt_endbr_seal does not lead to an instruction ENDBR. The kernel leaves the code there as it is.",
        _OBJTOOL,
    ),
    "unwind_module_init": SaidLine(
        "The tables .orc_unwind_ip and .orc_unwind do not have the same number of entries. Traces through the "
        "module's functions will be wrong.",
        _OBJTOOL,
    ),
    "likely not compiled with -mcmodel=kernel": SaidLine(
        "The line belongs to the refusal `overflow in relocation type`: an address does not fit into 32 bits.",
        "Compile the module with the flags of the kernel tree (-mcmodel=kernel), as make and kbuildpy build do.",
    ),
    # parameters
    "string parameter too long": SaidLine(
        "A parameter that takes a string (charp) takes 1024 bytes.",
        "Give a shorter value.",
    ),
    "string doesn't fit in": SaidLine(
        "A parameter of module_param_string() takes as many bytes as its buffer, without the last.",
        "Give a shorter value.",
    ),
    "can only take": SaidLine(
        "A parameter of module_param_array() has room for so many values, with commas between them.",
        "Give fewer values.",
    ),
    "after `--' ignored": SaidLine(
        "Parameters behind `--` are for the init program, not for the kernel.",
        "Take the `--` out, or what is behind it.",
    ),
    "unsafe module parameters is restricted": SaidLine(
        "The kernel is locked down (Secure Boot, or lockdown=), and the parameter sets hardware (module_param_hw()). "
        "The module is refused with EPERM.",
        "Load the module without this parameter, or boot without lockdown.",
    ),
    "Setting dangerous option": SaidLine(
        "The parameter is declared with module_param_unsafe(): setting it taints the kernel (U).",
        "Leave the parameter out, unless you know what it does.",
    ),
    "dyndbg param is supported only in": SaidLine(
        "The kernel has no dynamic debug messages, so dyndbg= does nothing.",
        "Take a kernel with CONFIG_DYNAMIC_DEBUG, or compile the module with -DDEBUG.",
    ),
    "unknown parameter '": SaidLine(
        "The module has no parameter of that name. It is loaded without it.",
        "See the names: modinfo -p FILE. Look for a typing mistake, also in /etc/modprobe.d.",
    ),
    # dyndbg
    "unclosed quote": SaidLine(
        "A word of dyndbg= begins with a quote that has no end.",
        "Close the quote.",
    ),
    "too many words": SaidLine(
        "A query of dyndbg= has more than nine words.",
        "Divide it: queries are separated by semicolons.",
    ),
    "bad flag-op": SaidLine(
        "The last word of a query of dyndbg= must begin with +, - or =.",
        'Write the flags last: dyndbg="file x.c +p".',
    ),
    "unknown flag": SaidLine(
        "A flag of dyndbg= is none: there are p, m, f, l, t and _, in newer kernels s and d.",
        "Correct the flag.",
    ),
    "expecting pairs of match-spec": SaidLine(
        "What is before the flags of dyndbg= must be pairs of a keyword and a value.",
        'Write pairs: dyndbg="func f +p".',
    ),
    "unknown keyword": SaidLine(
        "A keyword of dyndbg= is none: there are func, file, module, format, line and class.",
        "Correct the keyword.",
    ),
    "overridden by": SaidLine(
        "A query of dyndbg= names a keyword twice.",
        "Name it once, or write two queries.",
    ),
    "line used 2x": SaidLine(
        "A query of dyndbg= names lines twice.",
        "Name them once, or write two queries.",
    ),
    "last-line:": SaidLine(
        "A range of lines in dyndbg= ends before it begins.",
        "Turn the two numbers round.",
    ),
    "bad line-number": SaidLine(
        "A line of dyndbg= is no number.",
        "Write a number, or two with a hyphen between them.",
    ),
    # type information
    "/kernel/btf/vmlinux": SaidLine(
        "The module is called vmlinux, and the kernel's own types have that name below /sys/kernel/btf.",
        "Give the module another name.",
    ),
    "Kernel module BTF mismatch": SaidLine(
        "The types in .BTF do not fit this kernel's. It loads the module (CONFIG_MODULE_ALLOW_BTF_MISMATCH) without "
        "them: bpftrace, drgn and BPF programs do not know the module's types.",
        "Build the module with this kernel's vmlinux, if you need its types.",
    ),
    # what waits for modules
    "module has bad taint": SaidLine(
        "The module is proprietary or was loaded by force, so the kernel makes no trace events of it.",
        "Give it a GPL-compatible MODULE_LICENSE(), if it has one, and build it for this kernel.",
    ),
    "Failed to fixup __raw_static_call": SaidLine(
        "A static call goes by a trampoline in the module, whose key the kernel does not find.",
        "Use static_call() where the key is the module's own, or export the key, too.",
    ),
    "ftrace bug": SaidLine(
        "The code at a place that the module lists for tracing (__mcount_loc) is not the call that the compiler "
        "writes there, or the place is listed twice. The kernel switches function tracing off until the next boot, "
        "and loads the module.",
        "Build it again with the compiler and the flags of the kernel tree, and load the file as the build leaves it.",
    ),
    "__layout_sections": SaidLine(
        "A section that is freed after init (.init...) is marked as read-only after init, which cannot both be.",
        "Take __ro_after_init from what is in init sections.",
    ),
    # taints
    "loading out-of-tree module taints": SaidLine(
        "The module was not built in the kernel's source tree. The kernel notes that (taint O).",
        _NOTHING,
    ),
    "from the staging directory": SaidLine(
        "The module is from drivers/staging. The kernel notes that (taint C).",
        _NOTHING,
    ),
    "TAINT_LIVEPATCH": SaidLine(
        "The module is a live patch. The kernel notes that (taint K).",
        _NOTHING,
    ),
    "module license '": SaidLine(
        "MODULE_LICENSE() is missing, or no licence that is compatible with the GPL. The kernel notes that (taint P), "
        "and does not give the module symbols that are for GPL-compatible modules only.",
        'Write MODULE_LICENSE("GPL"), if that is its licence.',
    ),
    "loading test module": SaidLine(
        "The module is a test (MODULE_INFO(test)). The kernel notes that (taint N).",
        _NOTHING,
    ),
    "module verification failed": SaidLine(
        "The module is not signed, or by a key that this kernel does not trust. It is loaded, as this kernel does not "
        "insist (taint E).",
        "Sign it with a key of the machine: kbuildpy sign. For your own tests nothing.",
    ),
    "module license taints kernel": SaidLine(
        "The module is the first one that is not GPL-compatible, or has a name that is known for a wrong licence.",
        'Write MODULE_LICENSE("GPL"), if that is its licence.',
    ),
    "Disabling lock debugging": SaidLine(
        "A taint has switched off lockdep, which would look for wrong orders of locks: its results would not be "
        "reliable.",
        "Nothing, unless you test with lockdep: then find the taint in the lines before.",
    ),
    ": kernel tainted.": SaidLine(
        "The module has no vermagic, or no versions of symbols. It is loaded by force (CONFIG_MODULE_FORCE_LOAD, "
        "taint F), and may not fit this kernel.",
        _REBUILD,
    ),
    # single sections
    "per-cpu alignment": SaidLine(
        "The module's per-CPU variables want to be aligned to more than a page. They are aligned to a page.",
        "Allocate such a variable at run time, or do without its alignment.",
    ),
    "for percpu allocation": SaidLine(
        "The alignment of the module's per-CPU variables is no power of two, or they are larger than the kernel ever "
        "gives.",
        _REFUSAL,
    ),
    "from reserved chunk failed": SaidLine(
        "The reserve for per-CPU variables of all modules (8 KiB) is used up.",
        "Allocate them at run time: alloc_percpu().",
    ),
    "ignoring obsolete section": SaidLine(
        "The module was built for an older kernel, which has a table of its own for GPL-only exports. Kernels from "
        "7.1 on ignore that table: what is in it is not exported.",
        _REBUILD,
    ),
    "Ignoring obsolete parameters": SaidLine(
        "The module has a section __obsparm, as MODULE_PARM() of Linux 2.4 made it.",
        "Use module_param().",
    ),
    "not signed with expected PKCS#7": SaidLine(
        "The signature at the end of the file is of a form that the kernel does not verify.",
        "Sign it with kbuildpy sign.",
    ),
    # symbols
    "gave up waiting for init of module": SaidLine(
        "The module needs a symbol of another module, whose init function has not ended within 30 seconds. It is "
        "refused with EBUSY.",
        "See what the other module's init waits for.",
    ),
    "module using GPL-only symbols": SaidLine(
        "The module uses GPL-only symbols, and one of a proprietary module. It is refused.",
        "Remove one of the two: the GPL-only symbols, or that of the proprietary module.",
    ),
    "inheriting taint": SaidLine(
        "The module uses a symbol of a proprietary module, so it counts as proprietary, too (taint P): it gets no "
        "symbols that are for GPL-compatible modules only.",
        "Do without that symbol, if the module needs GPL-only ones.",
    ),
    "but does not import it": SaidLine(
        "The symbol is in a namespace that the module does not import. A kernel with "
        "CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS only warns; with others `Unknown symbol` and the refusal "
        "(EINVAL) follow.",
        "Import it: MODULE_IMPORT_NS(NAMESPACE), from 6.13 on with quotes.",
    ),
    "no extended symbol version for": SaidLine(
        "The module has versions of symbols, but none of this one. The kernel says so once after a boot, and goes on.",
        "Build it with the Module.symvers of the kernel and of the modules that it uses (KBUILD_EXTRA_SYMBOLS=).",
    ),
    # /sys
    "registered with empty name": SaidLine(
        "The module has no name in its struct module.",
        _REFUSAL,
    ),
    "Invalid permissions": SaidLine(
        "The last argument of module_param() gives the parameter's file in /sys permissions that no file there may "
        "have.",
        "Give it 0444 or 0644, or 0 for no file.",
    ),
}
"""Part of a line -> its meaning."""

PARTS = {
    "Something went horribly wrong": "no CFI hash found at",
    "failed to register module [": "/kernel/btf/vmlinux",
    "Failed to allocate memory for static calls": "Failed to fixup __raw_static_call",
    "ftrace faulted on modifying": "ftrace bug",
    "0x<ip>": "ftrace bug",
    " actual:": "ftrace bug",
    " expected:": "ftrace bug",
    "Initializing ftrace call sites": "ftrace bug",
    "ftrace_bug+": "ftrace bug",
    "arch/x86/kernel/ftrace.c": "ftrace bug",
}
"""Part of a line that only follows another one -> the part of that line, whose entry has both."""
