"""The module is complete and announced: kernel/module/main.c: prepare_coming_module, and who listens to it.

Livepatch comes first, then the notifiers in the order of their priority: jump labels and tracing, static calls, type
information. What they follow are pointers in the module's tables.
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHF_ALLOC, SHF_EXECINSTR
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.sites import ABSOLUTE, RELATIVE64, Code, Pointer, is_set, pointers, sites
from kbuildpy.loader.verdict import Undefined

TAIL = 1
"""In the key of a static call: it is a jump (STATIC_CALL_SITE_TAIL)."""
NOP5 = bytes.fromhex("0f1f440000")
XOR5RAX = bytes.fromhex("2e2e2e31c0")
FOLLOWED = (("___srcu_struct_ptrs", "TREE_SRCU"), ("__trace_printk_fmt", "TRACING"), (".kunit_test_suites", "KUNIT"))
"""Sections of pointers that are followed, and the option that has them followed."""
TRACED = ("_ftrace_events", "_ftrace_eval_map")


def prepare_coming_module(info: LoadInfo) -> None:
    """What happens between a module's being complete and its parameters. Raises `Refusal` or `Undefined`."""
    info.stage = "klp_module_coming"
    if info.mod_name == "vmlinux" and is_set(info, "LIVEPATCH"):
        raise info.refuse(
            "EINVAL",
            "livepatch: vmlinux.ko: invalid module name",
            "livepatch calls the kernel itself vmlinux, so no module can be called so",
            hint="give the module another name",
        )
    info.stage = "jump_label_module_notify"
    if is_set(info, "JUMP_LABEL"):
        _jump_label_add_module(info)
    info.stage = "trace_module_notify"
    if is_set(info, "EVENT_TRACING"):
        _trace_module_add_events(info)
    info.stage = "static_call_module_notify"
    if info.kernel.machine == "x86_64" and is_set(info, "HAVE_STATIC_CALL_INLINE"):
        _static_call_add_module(info)
    info.stage = "prepare_coming_module"
    number = info.find_sec("__tracepoints_ptrs")
    if number and is_set(info, "TRACEPOINTS"):
        for _, pointer in sites(info, number, 4):
            _exists(info, number, pointer)
    for name, option in FOLLOWED:
        if is_set(info, option):
            _follow(info, name)
    info.stage = "btf_module_notify"
    if is_set(info, "DEBUG_INFO_BTF_MODULES"):
        from kbuildpy.loader.btf import btf_module_notify

        btf_module_notify(info)


def _jump_label_add_module(info: LoadInfo) -> None:
    """struct jump_entry: the distances to code and target, and to the key, which is written to
    (kernel/jump_label.c)."""
    number = info.find_sec("__jump_table")
    if not number:
        return
    targets, keys = pointers(info, number), pointers(info, number, RELATIVE64)
    code = Code(info)
    for offset, pointer in sites(info, number, 16):
        code.at(number, pointer, 2)
        for field, found in ((offset + 4, targets), (offset + 8, keys)):
            if field not in found:
                raise Undefined(
                    info.stage, f"the pointer at {field:#x} of __jump_table is not relocated, and is followed"
                )
        _exists(info, number, keys[offset + 8])


def _trace_module_add_events(info: LoadInfo) -> None:
    """Tracepoints of a tainted module are left alone (kernel/trace/trace_events.c, kernel/tracepoint.c:
    trace_module_has_bad_taint)."""
    fine = set("OCEN")
    if info.kernel.version >= since.LIVEPATCH_TRACED:
        fine.add("K")
    if not info.taints <= fine:
        number = info.find_sec("_ftrace_events")
        if number and info.sechdrs[number].sh_size >= 8:
            info.log(f"{info.mod_name}: module has bad taint, not creating trace events")
        return
    for name in TRACED:
        _follow(info, name)


def _static_call_add_module(info: LoadInfo) -> None:
    """struct static_call_site: the distances to the call and to its key, or to its trampoline where the key is not
    exported (kernel/static_call_inline.c, arch/x86/kernel/static_call.c: __static_call_validate)."""
    number = info.find_sec(".static_call_sites")
    if not number:
        return
    found = pointers(info, number)
    code = Code(info)
    for offset, pointer in sites(info, number, 8):
        key = found.get(offset + 4)
        if key is None:
            raise Undefined(
                info.stage, f"the pointer at {offset + 4:#x} of .static_call_sites is not relocated, and is followed"
            )
        _check_key(info, number, key)
        first = code.up_to(number, pointer, 5)
        jumps = first[:1] in (b"\xe9", b"\xc3") or (first[:1] == b"\x0f" and first[1:2] and first[1] & 0xF0 == 0x80)
        if not (jumps if key.offset & TAIL else first[:1] == b"\xe8" or first in (NOP5, XOR5RAX)):
            raise Undefined(
                info.stage,
                f"code at {pointer.offset:#x} of {info.section_name(pointer.section)} is not a static call: "
                f'BUG(), after "unexpected static_call insn opcode {first[0] if first else 0:#x}"',
            )


def _check_key(info: LoadInfo, number: int, key: Pointer) -> None:
    """A key is data. The trampolines of keys that are not exported are known to the kernel, any other code is not."""
    if not key.section:
        name = info.symbol_name(key.symbol)
        if name.startswith(("__SCK__", "__SCT__")):
            return
        raise Undefined(info.stage, f"an entry of .static_call_sites has {name!r} for its key")
    _exists(info, number, key)
    if info.sechdrs[key.section].sh_flags & SHF_EXECINSTR:
        info.log("Failed to fixup __raw_static_call() usage at: <site>")
        info.log("Failed to allocate memory for static calls")
        raise Undefined(
            info.stage,
            "a static call goes by a trampoline in the module, whose key the kernel does not find; "
            "it would refuse the module, and on the way takes the trampoline's code for a key",
            hint="use static_call() where the key is the module's own",
        )


def _follow(info: LoadInfo, name: str) -> None:
    """Each entry of section `name` is a pointer that is followed."""
    number = info.find_sec(name)
    if number:
        for _, pointer in sites(info, number, 8, ABSOLUTE):
            _exists(info, number, pointer)


def _exists(info: LoadInfo, number: int, pointer: Pointer) -> None:
    """Whether there is something where it points to: the kernel's, or within a section of the module."""
    if not pointer.section:
        return
    if not (
        pointer.section < len(info.sechdrs) and 0 <= pointer.offset & ~3 < max(info.sechdrs[pointer.section].sh_size, 1)
    ):
        raise Undefined(
            info.stage,
            f"an entry of {info.section_name(number)} points to {info.symbol_name(pointer.symbol)!r}"
            f"{pointer.offset:+#x}, which is not within a section",
        )
    if not info.sechdrs[pointer.section].sh_flags & SHF_ALLOC:
        name = info.section_name(pointer.section)
        raise Undefined(info.stage, f"an entry of {info.section_name(number)} points to {name}, which is not kept")
