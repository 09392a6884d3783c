# SPDX-License-Identifier: GPL-2.0-only
"""The members of `struct module` that the kernel has filled in before relocations are applied.

A module that was built against headers with another configuration may have a struct of the same size in which `init`
and `exit` are elsewhere. x86 refuses a relocation of a place that is not zero, and many of the kernel's members are
not: kernel/module/main.c (layout_and_allocate, add_unformed_module, percpu_modalloc, module_unload_init,
find_module_sections, setup_modinfo, simplify_symbols).
"""

from __future__ import annotations

from kbuildpy.elf.constants import SHT_NULL
from kbuildpy.errors import KbuildError
from kbuildpy.loader.btf.members import Member, members_of
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.modinfo import get_modinfo

_ALWAYS = (
    "list",
    "source_list",
    "target_list",
    "refcnt",
    "core_layout.base",
    "core_layout.size",
    "param_lock.wait_list",
)
_SECTIONS = {
    "kp": "__param",
    "syms": "__ksymtab",
    "crcs": "__kcrctab",
    "flagstab": "__kflagstab",
    "gpl_syms": "__ksymtab_gpl",
    "gpl_crcs": "__kcrctab_gpl",
    "extable": "__ex_table",
    "noinstr_text_start": ".noinstr.text",
    "tracepoints_ptrs": "__tracepoints_ptrs",
    "srcu_struct_ptrs": "___srcu_struct_ptrs",
    "bpf_raw_events": "__bpf_raw_tp_map",
    "jump_entries": "__jump_table",
    "trace_events": "_ftrace_events",
    "trace_evals": "_ftrace_eval_map",
    "trace_bprintk_fmt_start": "__trace_printk_fmt",
    "ftrace_callsites": "__mcount_loc",
    "ei_funcs": "_error_injection_whitelist",
    "kprobes_text_start": ".kprobes.text",
    "kprobe_blacklist": "_kprobe_blacklist",
    "printk_index_start": ".printk_index",
    "static_call_sites": ".static_call_sites",
    "kunit_suites": ".kunit_test_suites",
    "kunit_init_suites": ".kunit_init_test_suites",
    "dyndbg_info.descs": "__dyndbg",
    "dyndbg_info.classes": "__dyndbg_classes",
}
"""Members that are the address of a section, if the module has it."""
_COUNTS = {
    "num_kp": "__param",
    "num_syms": "__ksymtab",
    "num_gpl_syms": "__ksymtab_gpl",
    "num_exentries": "__ex_table",
    "noinstr_text_size": ".noinstr.text",
    "num_tracepoints": "__tracepoints_ptrs",
    "num_srcu_structs": "___srcu_struct_ptrs",
    "num_bpf_raw_events": "__bpf_raw_tp_map",
    "num_jump_entries": "__jump_table",
    "num_trace_events": "_ftrace_events",
    "num_trace_evals": "_ftrace_eval_map",
    "num_trace_bprintk_fmt": "__trace_printk_fmt",
    "num_ftrace_callsites": "__mcount_loc",
    "num_ei_funcs": "_error_injection_whitelist",
    "kprobes_text_size": ".kprobes.text",
    "num_kprobe_blacklist": "_kprobe_blacklist",
    "printk_index_size": ".printk_index",
    "num_static_call_sites": ".static_call_sites",
    "num_kunit_suites": ".kunit_test_suites",
    "num_kunit_init_suites": ".kunit_init_test_suites",
    "dyndbg_info.num_descs": "__dyndbg",
    "dyndbg_info.num_classes": "__dyndbg_classes",
}
"""Members that count the entries of a section."""
_LARGEST = 64
"""No entry of such a section has more bytes (struct kernel_param has 40, struct _ddebug 56)."""
_LATER = (
    *("init", "exit", "build_id", "mkobj", "modinfo_attrs", "holders_dir", "async_probe_requested", "arch", "num_bugs"),
    *("bug_list", "bug_table", "kallsyms", "core_kallsyms", "sect_attrs", "notes_attrs", "args", "klp_alive"),
    *("klp_info", "its_num_pages", "its_page_array"),
)
"""Members that the kernel sets only after relocations are applied."""
_FREED = ("version", "srcversion", "imported_namespaces", "percpu")
"""Pointers whose memory the kernel frees if it refuses the module; after a relocation they point elsewhere."""
_KINDS = ("text", "data", "rodata", "ro_after_init", "init_text", "init_data", "init_rodata")
"""The elements of `mem`, in order (enum mod_mem_type)."""


def struct_members(info: LoadInfo) -> list[Member]:
    """Return the members of the kernel's struct module; [] if the kernel's BTF is not known."""
    try:
        types = info.kernel.own_types() if info.kernel.own_types else None
    except KbuildError:
        return []
    return members_of(types, b"module") if types else []


def is_filled(info: LoadInfo, members: list[Member], offset: int, width: int) -> bool | None:
    """Return whether `width` bytes at `offset` of struct module are non-zero before relocations are applied; None if
    that is not known."""
    states: set[bool | None] = set()
    for member in members:
        if member.offset < offset + width and offset < member.offset + member.size:
            state = _state(info, member, offset, width)
            whole = offset <= member.offset and member.offset + member.size <= offset + width
            states.add(state if whole or state is False else None)
    return True if True in states else None if None in states or not members else False


def member_at(members: list[Member], offset: int) -> str:
    """Return the path of the member at byte `offset`, "" for padding."""
    return next((item.path for item in members if item.offset <= offset < item.offset + item.size), "")


def is_freed(path: str) -> bool:
    """Return whether the kernel frees the memory that the member points to when it refuses the module."""
    return path in _FREED


def _state(info: LoadInfo, member: Member, offset: int, width: int) -> bool | None:
    path = member.path
    top = path.partition(".")[0]
    if path in _SECTIONS:
        return bool(info.find_sec(_SECTIONS[path]))
    if path in _COUNTS:
        size = info.sechdrs[info.find_sec(_COUNTS[path])].sh_size
        return size >= _LARGEST or (None if size else False)
    if path == "name":
        start = max(offset, member.offset) - member.offset
        name = info.mod_name.encode("utf-8", "surrogateescape")
        return bool(name[start : offset + width - member.offset])
    if path in ("version", "srcversion"):
        return get_modinfo(info, path) is not None
    if path.startswith("mem[") and path.endswith((".base", ".size")):
        return bool(info.layout.sizes.get(_KINDS[int(path[4])]))
    if path in ("init_layout.base", "init_layout.size"):
        return bool(info.layout.sizes.get("init"))
    if path in ("btf_data", "btf_base_data", "btf_data_size", "btf_base_data_size"):
        section = info.sechdrs[info.find_any_sec(".BTF.base" if "base" in path else ".BTF")]
        return section.sh_type != SHT_NULL and section.sh_size > 0
    if path in ("percpu", "percpu_size"):
        return bool(info.index.pcpu and info.sechdrs[info.index.pcpu].sh_size)
    known = {
        "state": True,  # MODULE_STATE_UNFORMED is 3
        "taints": bool(info.taints.module),
        "using_gplonly_symbols": info.using_gplonly_symbols,
        "sig_ok": info.signature.is_trusted,
        "klp": info.is_livepatch,
    }
    if path in known:
        return known[path]
    if path in _ALWAYS or path.rpartition(".")[0] in _ALWAYS:
        return True
    return False if top in _LATER else None
