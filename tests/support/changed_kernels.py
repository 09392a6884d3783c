# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that differ from a real one in a single fact each: all facts that a verdict can depend on take part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import Exports, KernelExport, LoaderKernel
from kbuildpy.signing.keyring import Keyring

OPTIONS = (
    *("ARCH_HAS_EXECMEM_ROX", "CONSTRUCTORS", "DEBUG_INFO_BTF_MODULES", "DEBUG_LOCK_ALLOC", "DYNAMIC_DEBUG_CORE"),
    *("DYNAMIC_FTRACE", "DYNAMIC_FTRACE_WITH_REGS", "EVENT_TRACING", "FTRACE_MCOUNT_USE_OBJTOOL"),
    *("FUNCTION_TRACER", "HAVE_STATIC_CALL_INLINE", "JUMP_LABEL", "KALLSYMS", "KALLSYMS_ALL", "KUNIT"),
    *("LIVEPATCH", "LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "MEM_ALLOC_PROFILING", "MITIGATION_RETHUNK"),
    *("MITIGATION_RETPOLINE", "MODULE_ALLOW_BTF_MISMATCH", "MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS"),
    *("MODULE_DECOMPRESS", "MODULE_FORCE_LOAD", "MODULE_SIG", "MODULE_SIG_FORCE", "MODULE_UNLOAD", "MODVERSIONS"),
    *("OBJTOOL", "PARAVIRT", "PRINTK_CALLER", "RETHUNK", "RETPOLINE", "STRICT_MODULE_RWX", "TRACEPOINTS"),
    *("TRACING", "TREE_SRCU", "UNWINDER_ORC", "X86_KERNEL_IBT"),
)
VERSIONS = ((6, 1), (6, 3), (6, 4), (6, 8), (6, 12, 46), (6, 13), (6, 16), (7, 1), (7, 3))


Change = Callable[[str, "KernelExport | None"], "KernelExport | None"]


@dataclass(frozen=True)
class ChangedExports:
    """The exports of a kernel, of which `change` makes others."""

    exports: Exports
    change: Change

    def find(self, symbol: str) -> KernelExport | None:
        """Return the export called `symbol`, changed."""
        return self.change(symbol, self.exports.find(symbol))


def changed_kernels(kernel: LoaderKernel) -> Iterator[tuple[str, LoaderKernel]]:
    """Yield what was changed, and the kernel."""
    yield "nothing", kernel
    yield "the release", replace(kernel, release="9.9.9-other")
    for option in OPTIONS:
        config = dict(kernel.config or {})
        if config.pop(f"CONFIG_{option}", None) is None:
            config[f"CONFIG_{option}"] = "y"
        yield option, replace(kernel, config=config)
    for version in VERSIONS:
        yield f"version {version}", replace(kernel, version=version)
    yield from _facts(kernel)
    if kernel.exports is not None:
        for name, change in _CHANGES.items():
            changed = replace(kernel, exports=ChangedExports(kernel.exports, change))
            yield name, changed
            yield f"{name}, another release", replace(changed, release="9.9.9-other")


def _facts(kernel: LoaderKernel) -> Iterator[tuple[str, LoaderKernel]]:
    struct, magic = kernel.struct_module, kernel.vermagic or ""
    yield "config", replace(kernel, config=None, missing={Fact.CONFIG: "a reason"})
    yield "another reason", replace(kernel, config=None, missing={Fact.CONFIG: "another reason"})
    yield "vermagic", replace(kernel, vermagic=f"{magic}preempt_other ")
    yield "the release in vermagic", replace(kernel, vermagic=f"9.9.9 {magic.partition(' ')[2]}")
    yield "no vermagic", replace(kernel, vermagic=None)
    if struct is not None:
        yield "struct module", replace(kernel, struct_module=struct._replace(size=struct.size + 64))
        yield "init in struct module", replace(kernel, struct_module=struct._replace(init=struct.init + 8))
    yield "no struct module", replace(kernel, struct_module=None)
    yield "no exports", replace(kernel, exports=None)
    yield "symbols without a version", replace(kernel, wants_every_version=False)
    yield "no keys", replace(kernel, keyring=None)
    yield "no key of the signer", replace(kernel, keyring=lambda: Keyring("other"))
    yield "an incomplete keyring", replace(kernel, keyring=lambda: Keyring("other"), keyring_complete=False)
    yield "signatures are not seen", replace(kernel, sees_signatures=False)
    yield "signatures are enforced", replace(kernel, keyring=lambda: Keyring("other"), sig_enforce=True)
    yield "lockdown", replace(kernel, keyring=lambda: Keyring("other"), lockdown=True)
    yield "a blacklist", replace(kernel, blacklist=("dummy", "loop", "crc8", "quiet", "rich"))
    yield "taints", replace(kernel, tainted="PE")
    yield "no modules of its own", replace(kernel, own_modules=None)
    if kernel.own_modules is not None:
        yield "other modules of its own", replace(kernel, own_modules=OwnModules(kernel.own_modules.directory.parent))
    yield "no types", replace(kernel, own_types=None, types_identity=None)
    yield "types that are not there", replace(kernel, own_types=lambda: None, types_identity=lambda: "")


def _is_one(symbol: str, of: int) -> bool:
    return sum(symbol.encode()) % of == 0


def _each(change: Callable[[str, KernelExport], KernelExport | None]) -> Change:
    return lambda symbol, found: found and change(symbol, found)


_CHANGES: dict[str, Change] = {
    "another module_layout": _each(
        lambda symbol, found: found._replace(crc=1) if symbol == "module_layout" and found.crc else found
    ),
    "other CRCs": _each(lambda symbol, found: found._replace(crc=1) if _is_one(symbol, 9) and found.crc else found),
    "no CRCs": _each(lambda symbol, found: found._replace(crc=None) if symbol != "module_layout" else found),
    "missing symbols": _each(lambda symbol, found: None if _is_one(symbol, 3) else found),
    "symbols for the GPL": _each(lambda symbol, found: found._replace(gpl_only=not found.gpl_only)),
    "namespaces": _each(lambda symbol, found: found._replace(namespace="A_SPACE") if _is_one(symbol, 13) else found),
    "an owner": _each(lambda symbol, found: found._replace(owner="owner") if _is_one(symbol, 17) else found),
    "a proprietary owner": _each(
        lambda symbol, found: found._replace(owner="owner", proprietary=True) if _is_one(symbol, 17) else found
    ),
    "an owner of whom little is known": _each(
        lambda symbol, found: found._replace(owner="owner", proprietary=None) if _is_one(symbol, 19) else found
    ),
    "symbols of modules": lambda symbol, found: (
        found._replace(owner="") if found else KernelExport("", 1, False, "") if _is_one(symbol, 2) else None
    ),
}
