# SPDX-License-Identifier: GPL-2.0-only
"""How a kernel treats modules without a signature, or without a trusted one (kernel/module/Kconfig: MODULE_SIG)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class SigningPolicy:
    """`verifies`: the kernel looks at signatures; `required`: it refuses a module without a good one.

    `hash` is the digest that its own modules are signed with. `lockdown`: the kernel can be locked down, by its
    command line or at run time, and then requires signatures too; `locked_down`: it always is; `secure_boot`: UEFI
    Secure Boot does it (a patch that the distributions carry).
    """

    verifies: bool
    required: bool
    hash: str
    lockdown: bool
    locked_down: bool
    secure_boot: bool

    def __str__(self) -> str:
        if not self.verifies:
            return "none"
        if self.required or self.locked_down:
            return f"required {self.hash}".rstrip()
        return f"optional {self.hash}".rstrip()


def signing_policy_of(tree: KernelTree) -> SigningPolicy:
    """What `tree`'s configuration says about module signatures; `module.sig_enforce=1` can only make it stricter."""
    config = tree.config

    def on(symbol: str) -> bool:
        return config.get(symbol) == "y"

    verifies = on("CONFIG_MODULE_SIG")
    lockdown = on("CONFIG_SECURITY_LOCKDOWN_LSM")
    return SigningPolicy(
        verifies=verifies,
        required=verifies and on("CONFIG_MODULE_SIG_FORCE"),
        hash=config.get("CONFIG_MODULE_SIG_HASH", "") if verifies else "",
        lockdown=lockdown,
        locked_down=lockdown
        and (on("CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY") or on("CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")),
        secure_boot=lockdown and on("CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT"),
    )
