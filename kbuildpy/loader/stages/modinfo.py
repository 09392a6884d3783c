# SPDX-License-Identifier: GPL-2.0-only
"""Reads `.modinfo`, and checks its tags (`check_vermagic` compares vermagic).

Counterpart: kernel/module/main.c (get_next_modinfo, check_modinfo; from 6.4 on module_augment_kernel_taints).
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.kernel.release import release_of_vermagic
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import DAMAGED
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.taints import add_taint_module, is_tainted, try_to_force_load
from kbuildpy.loader.verdict import Undefined

_OFFENDERS = ("driverloader", "lve")
"""Names of modules that declare a GPL licence but are proprietary."""


def get_modinfo(info: LoadInfo, tag: str) -> str | None:
    """Return the first value of `tag`, None if there is none. Raises `Undefined` as `modinfo_values` does."""
    return next(iter(modinfo_values(info, tag)), None)


def modinfo_values(info: LoadInfo, tag: str) -> Iterator[str]:
    """Yield every value of `tag`, in the entries that begin in `.modinfo`. Without that section, section header 0 is
    used, as in the kernel. Raises `Undefined` if the kernel would search for the next entry behind the section."""
    section = info.sechdrs[info.index.info]
    # The kernel reads the first entry even if the section is empty.
    start, end = section.sh_offset, section.sh_offset + max(section.sh_size, 1)
    wanted, contents = tag.encode() + b"=", info.contents
    # An entry that begins in the section may end behind it.
    at = contents.find(wanted, start, end + len(wanted) - 1)
    while at >= 0:
        value = at + len(wanted)
        if at == start or contents[at - 1] == 0:
            stop = contents.find(b"\0", value)
            yield contents[value : stop if stop >= 0 else len(contents)].decode("utf-8", "surrogateescape")
            if value > start + section.sh_size:
                # The kernel's count of the remaining bytes is unsigned, and wraps around.
                raise Undefined(
                    info.stage,
                    f".modinfo ends within {tag}=, and the kernel searches for more of these behind it",
                    DAMAGED,
                )
        at = contents.find(wanted, value, end + len(wanted) - 1)


def check_vermagic(info: LoadInfo) -> None:
    """Raise `Refusal` (ENOEXEC) if the module's vermagic is missing or differs from the kernel's. If the module has
    CRCs, the release in vermagic is not compared."""
    magic = get_modinfo(info, "vermagic")
    if magic is None:
        if not try_to_force_load(info, "bad vermagic"):
            raise info.refuse("ENOEXEC", None, "it has no vermagic, as modpost writes it", rebuild(info))
        return
    has_crcs = info.index.vers != 0 and info.kernel.has("MODVERSIONS") is not False
    fits = info.kernel.fits_vermagic(magic, has_crcs=has_crcs)
    if fits is None:
        info.not_checked("vermagic", Fact.VERMAGIC)
    elif not fits:
        line = f"{info.name}: version magic '{magic}' should be '{info.kernel.vermagic}'"
        reason = f"it was built for a kernel with vermagic '{magic}'"
        raise info.refuse("ENOEXEC", line, reason, rebuild(info))


def other_headers(info: LoadInfo) -> str:
    """Return the reason for a module that does not fit the kernel's headers, with the release in its vermagic."""
    release = release_of_vermagic(get_modinfo(info, "vermagic") or "")
    named = f" (its vermagic names {release})" if release else ""
    return f"it was built against other headers than this kernel's{named}"


def rebuild(info: LoadInfo) -> str:
    """Return the hint for a module that was built for another kernel."""
    return f"build it for this kernel: kbuildpy build -k {info.kernel.release}"


def check_out_of_tree(info: LoadInfo) -> None:
    """Set taint O if the module was not built in the kernel's source tree."""
    if get_modinfo(info, "intree") is None:
        if not is_tainted(info, "O"):
            info.log(f"{info.mod_name}: loading out-of-tree module taints kernel.", taint=True)
        add_taint_module(info, "O")


def check_retpoline(info: LoadInfo) -> None:
    """Record retpolines as unchecked for a module without them: whether the kernel warns depends on the machine."""
    built_with = info.kernel.has("RETPOLINE") or info.kernel.has("MITIGATION_RETPOLINE")
    if built_with and get_modinfo(info, "retpoline") is None:
        info.not_checked(
            "retpoline",
            reason="the module was compiled without, and whether the kernel warns depends on the machine",
        )


def check_staging(info: LoadInfo) -> None:
    """Set taint C if the module is from drivers/staging."""
    if get_modinfo(info, "staging") is not None:
        add_taint_module(info, "C")
        info.log(
            f"{info.mod_name}: module is from the staging directory, the quality is unknown, you have been warned.",
            taint=True,
        )


def check_livepatch(info: LoadInfo) -> None:
    """Raise `Refusal` for a livepatch module if the kernel has no CONFIG_LIVEPATCH; else set `is_livepatch`."""
    if get_modinfo(info, "livepatch") is None:
        return
    enabled = info.kernel.has("LIVEPATCH")
    if enabled is None:
        info.not_checked("livepatch", Fact.CONFIG)
    elif not enabled:
        line = f"{info.mod_name}: module is marked as livepatch module, but livepatch support is disabled"
        raise info.refuse(
            "ENOEXEC",
            line,
            "it is a live patch, and this kernel was built without",
            "take a kernel with CONFIG_LIVEPATCH",
        )
    info.is_livepatch = True


def taint_livepatch(info: LoadInfo) -> None:
    """Set taint K, for a livepatch module; the kernel logs it once a boot."""
    said = is_tainted(info, "K")
    add_taint_module(info, "K")
    if not said:
        info.log(f"{info.mod_name}: tainting kernel with TAINT_LIVEPATCH", taint=True)


def check_license(info: LoadInfo) -> None:
    """Set taint P if the licence is not GPL-compatible."""
    license = get_modinfo(info, "license")
    license = "unspecified" if license is None else license
    if license not in GPL_COMPATIBLE:
        if not is_tainted(info, "P"):
            info.log(f"{info.mod_name}: module license '{license}' taints kernel.", taint=True)
        add_taint_module(info, "P", lockdep_ok=False)


def check_test(info: LoadInfo) -> None:
    """Set taint N if the module is a test."""
    if get_modinfo(info, "test") is not None:
        if not is_tainted(info, "N"):
            info.log(f"{info.mod_name}: loading test module taints kernel.", taint=True)
        add_taint_module(info, "N")


def check_sig_ok(info: LoadInfo) -> None:
    """Set taint E if no key that the kernel trusts has signed the module; the kernel logs it once a boot."""
    if info.kernel.has("MODULE_SIG") and not info.signature.is_trusted and info.signature.is_judged:
        if not is_tainted(info, "E"):
            info.log(
                f"{info.mod_name}: module verification failed: signature and/or required key missing - tainting kernel",
                taint=True,
            )
        add_taint_module(info, "E")


def check_offenders(info: LoadInfo, *, tainted_before: bool) -> None:
    """Set taint P for modules by name that are known to declare a wrong licence; `tainted_before`: whether the kernel
    had taint P before this module."""
    if info.mod_name == "ndiswrapper":
        add_taint_module(info, "P", lockdep_ok=False, of_module=False)
    if info.mod_name in _OFFENDERS:
        add_taint_module(info, "P", lockdep_ok=False)
    if not tainted_before and is_tainted(info, "P"):
        info.log(f"{info.mod_name}: module license taints kernel.", taint=True)
