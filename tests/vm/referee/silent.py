# SPDX-License-Identifier: GPL-2.0-only
"""Checks that refuse without a word in the kernel log: where they are, a case that provokes each, and the errno."""

from __future__ import annotations

import errno

SILENT = {
    "kernel_read_file: an empty file": ("elf header/cut to 0 bytes", errno.EINVAL),
    "mod_verify_sig: shorter than a trailer": ("signature/the marker and a byte", errno.EBADMSG),
    "mod_check_sig: sig_len": ("signature/says it has 4294967295 bytes", errno.EBADMSG),
    "verify_pkcs7_signature: no message": ("signature/zeros", errno.EBADMSG),
    "verify_pkcs7_signature: the module was changed": (
        "signature/of the distribution, whose module was changed",
        errno.EKEYREJECTED,
    ),
    "module_patient_check_exists: the name is there already": ("name/there already", errno.EEXIST),
}
