# SPDX-License-Identifier: GPL-2.0-only
"""Every message of the loader's sources, and the kernel lines whose source has it: what the corpus must provoke.

messages.tsv lists them, collected from the sources. The referee fails for each that no damage provokes, except those in
`UNSEEN`, which no module can provoke on such a machine, each with its reason.
"""

from __future__ import annotations

import re
from pathlib import Path

UNSEEN = {
    "%s: gave up waiting for init of module %s.": "another module must be in its init for thirty seconds meanwhile",
    "%s: adding tainted module to the unloaded tainted modules list failed.": "CONFIG_MODULE_UNLOAD_TAINT_TRACKING",
    "failing symbol_get of non-GPLONLY symbol %s.": "symbol_get() is called by modules that run, not by loading one",
    "%s: module is marked as livepatch module, but livepatch support is disabled": "CONFIG_LIVEPATCH is set",
    "%s: has both .ctors and .init_array.": "CONFIG_CONSTRUCTORS is not set",
    "%s: '%s'->init suspiciously returned %d, it should follow 0/-E convention\n%s: loading module anyway...": (
        "what init returns is the module's code"
    ),
    "%s: init suspiciously returned %d, it should follow 0/-E convention": "what init returns is the module's code",
    "digest memory buffer allocate fail": "there is no memory",
    "Module hash %*phN is blacklisted": "the kernel has no hashes of modules in its blacklist",
    "Invalid module architecture in ELF header: %u": "PowerPC alone has another look at it",
    "%s: memory allocation(s) from the module still alive, cannot unload cleanly": "CONFIG_MEM_ALLOC_PROFILING",
    "%s: module_enable_rodata_ro_after_init() returned %d, ro_after_init data might still be writable": (
        "page tables cannot be changed"
    ),
    "Could not add fail-tracking for module: %s": "CONFIG_MODULE_STATS is not set",
    "x86/modules: Invalid relocation target, existing value does not match expected value for type %d, loc %p, "
    "val %Lx": "said when a live patch is taken back",
    "x86/modules: Invalid relocation target, existing value does not match expected value for sec %u, idx %u, type %d, "
    "loc %lx, val %llx": "said when a live patch is taken back",
    "Setting dangerous option %s - tainting kernel": "a parameter that is declared as unsafe",
    "%s: option '%s' enabled irq's!": "a parameter's own code",
    "%s: Unknown parameter `%s'": "modules have unknown parameters ignored; this is for those that do not",
    "%s: needs at least %i arguments": "no module parameter has a least number",
}
"""Format -> why no module of the corpus makes the kernel say it."""
_CONVERSION = re.compile(r"%\*?(?:phN|p|[lLz]*[sdiux])")


def messages_of(line: str, *, versions: bool) -> dict[str, str]:
    """The messages that a kernel line (`6.12`) has, and the source file of each; those about `versions` of symbols only
    where it has modversions."""
    found = {}
    for row in Path(__file__).with_name("messages.tsv").read_text().splitlines():
        if not row.startswith("#"):
            source, lines, message = row.split("\t")
            if line in lines.split() and (versions or source != "kernel/module/version.c"):
                found[message.replace("\\n", "\n")] = source
    return found


def pattern(message: str) -> re.Pattern[str]:
    """What a line of the kernel log looks like that was made with the format `message`."""
    return re.compile(".*?" + ".*".join(re.escape(part) for part in _CONVERSION.split(message)), re.DOTALL)
