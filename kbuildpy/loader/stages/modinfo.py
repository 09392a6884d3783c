# SPDX-License-Identifier: GPL-2.0-only
"""`.modinfo`: reading it, and the checks of its tags (vermagic is compared in `check_vermagic`).

Counterparts: kernel/module/main.c (get_next_modinfo, check_modinfo; from 6.4 on module_augment_kernel_taints) and
kernel/module/version.c (same_magic).
"""

from __future__ import annotations

from collections.abc import Iterator

from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.kernel.release import release_of_vermagic
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.taints import add_taint_module, is_tainted, try_to_force_load
from kbuildpy.loader.verdict import Undefined

_OFFENDERS = ("driverloader", "lve")
"""Modules that say GPL and are not."""


def get_modinfo(info: LoadInfo, tag: str) -> str | None:
    """The first value of `tag`, None if there is none."""
    return next(iter(modinfo_values(info, tag)), None)


def modinfo_values(info: LoadInfo, tag: str) -> Iterator[str]:
    """Every value of `tag`, of the entries that begin in `.modinfo` (the first section header stands for one that is
    not there, as in the kernel). Raises `Undefined` where the kernel searches for the next one behind the section."""
    section = info.sechdrs[info.index.info]
    # (the first entry is read even in an empty section)
    start, end = section.sh_offset, section.sh_offset + max(section.sh_size, 1)
    wanted, contents = tag.encode() + b"=", info.contents
    # (an entry that begins in the section may end behind it)
    at = contents.find(wanted, start, end + len(wanted) - 1)
    while at >= 0:
        value = at + len(wanted)
        if at == start or contents[at - 1] == 0:
            stop = contents.find(b"\0", value)
            yield contents[value : stop if stop >= 0 else len(contents)].decode("utf-8", "surrogateescape")
            if value > start + section.sh_size:
                # (the kernel's count of the bytes left is unsigned, and wraps around)
                raise Undefined(
                    info.stage, f".modinfo ends within {tag}=, and the kernel searches for more of these behind it"
                )
        at = contents.find(wanted, value, end + len(wanted) - 1)


def check_vermagic(info: LoadInfo) -> None:
    """A module is for one version and configuration; where there are CRCs the version does not count."""
    magic = get_modinfo(info, "vermagic")
    kernel = info.kernel.vermagic
    if magic is None:
        if not try_to_force_load(info, "bad vermagic"):
            raise info.refuse("ENOEXEC", None, "it has no vermagic", "build it with modpost: kbuildpy build")
        return
    if kernel is None:
        info.not_checked("vermagic", Fact.VERMAGIC)
    elif not same_magic(magic, kernel, has_crcs=info.index.vers != 0 and info.kernel.has("MODVERSIONS") is not False):
        line = f"{info.name}: version magic '{magic}' should be '{kernel}'"
        reason = f"it was built for a kernel with vermagic '{magic}'"
        raise info.refuse("ENOEXEC", line, reason, rebuild(info))


def other_headers(info: LoadInfo) -> str:
    """Why a module does not fit the kernel: a sentence, with the release in its vermagic."""
    release = release_of_vermagic(get_modinfo(info, "vermagic") or "")
    named = f" (its vermagic names {release})" if release else ""
    return f"it was built against other headers than this kernel's{named}"


def rebuild(info: LoadInfo) -> str:
    """The hint for a module that was built for another kernel."""
    return f"build it for this kernel: kbuildpy build -k {info.kernel.release}"


def same_magic(module: str, kernel: str, *, has_crcs: bool) -> bool:
    """Whether two vermagics agree; the first word is the version."""
    if has_crcs:
        module, kernel = (text[len(text.split(" ", 1)[0]) :] for text in (module, kernel))
    return module == kernel


def check_out_of_tree(info: LoadInfo) -> None:
    """Taint: not from the kernel's own source."""
    if get_modinfo(info, "intree") is None:
        if not is_tainted(info, "O"):
            info.log(f"{info.mod_name}: loading out-of-tree module taints kernel.", taint=True)
        add_taint_module(info, "O")


def check_retpoline(info: LoadInfo) -> None:
    """Without retpolines the kernel warns, if the machine needs them: that is not known here."""
    built_with = info.kernel.has("RETPOLINE") or info.kernel.has("MITIGATION_RETPOLINE")
    if built_with and get_modinfo(info, "retpoline") is None:
        info.not_checked(
            "retpoline",
            reason="the module was compiled without, and whether the kernel warns depends on the machine",
        )


def check_staging(info: LoadInfo) -> None:
    """Taint: from drivers/staging."""
    if get_modinfo(info, "staging") is not None:
        add_taint_module(info, "C")
        info.log(
            f"{info.mod_name}: module is from the staging directory, the quality is unknown, you have been warned.",
            taint=True,
        )


def check_livepatch(info: LoadInfo) -> None:
    """A live patch needs a kernel that can be patched."""
    if get_modinfo(info, "livepatch") is None:
        return
    enabled = info.kernel.has("LIVEPATCH")
    if enabled is None:
        info.not_checked("livepatch", Fact.CONFIG)
    elif not enabled:
        line = f"{info.mod_name}: module is marked as livepatch module, but livepatch support is disabled"
        raise info.refuse(
            "ENOEXEC", line, "the kernel cannot be patched while it runs", "take one with CONFIG_LIVEPATCH"
        )
    info.is_livepatch = True


def taint_livepatch(info: LoadInfo) -> None:
    """Taint: live patched; said once."""
    said = is_tainted(info, "K")
    add_taint_module(info, "K")
    if not said:
        info.log(f"{info.mod_name}: tainting kernel with TAINT_LIVEPATCH", taint=True)


def check_license(info: LoadInfo) -> None:
    """Taint: not GPL-compatible."""
    license = get_modinfo(info, "license")
    license = "unspecified" if license is None else license
    if license not in GPL_COMPATIBLE:
        if not is_tainted(info, "P"):
            info.log(f"{info.mod_name}: module license '{license}' taints kernel.", taint=True)
        add_taint_module(info, "P", lockdep_ok=False)


def check_test(info: LoadInfo) -> None:
    """Taint: a test."""
    if get_modinfo(info, "test") is not None:
        if not is_tainted(info, "N"):
            info.log(f"{info.mod_name}: loading test module taints kernel.", taint=True)
        add_taint_module(info, "N")


def check_sig_ok(info: LoadInfo) -> None:
    """Taint: no signature by a key that the kernel trusts; logged once."""
    if info.kernel.has("MODULE_SIG") and not info.signature.is_trusted and info.signature.is_judged:
        if not is_tainted(info, "E"):
            info.log(
                f"{info.mod_name}: module verification failed: signature and/or required key missing - tainting kernel",
                taint=True,
            )
        add_taint_module(info, "E")


def check_offenders(info: LoadInfo, *, tainted_before: bool) -> None:
    """Taint: names that are known to lie about their license."""
    if info.mod_name == "ndiswrapper":
        add_taint_module(info, "P", lockdep_ok=False, of_module=False)
    if info.mod_name in _OFFENDERS:
        add_taint_module(info, "P", lockdep_ok=False)
    if not tainted_before and is_tainted(info, "P"):
        info.log(f"{info.mod_name}: module license taints kernel.", taint=True)
