# SPDX-License-Identifier: GPL-2.0-only
"""Names of the rules of Kbuild that kbuildpy carries out (`rule_NAME`, `cmd_NAME` of scripts/Makefile.build).

make must carry out any other rule: the Kbuild file then counts as one with rules of its own.
"""

from __future__ import annotations

COMPILE_RULES = frozenset({"cc_o_c", "as_o_S", "rustc_o_rs"})
AFTER_COMPILE_RULES = frozenset(
    {
        "check_local_export",
        "checkdoc",
        "checksrc",
        "force_checksrc",
        "gen_ksymdeps",
        "gen_objtooldep",
        "gen_symversions_S",
        "gen_symversions_c",
        "modversions_S",
        "modversions_c",
        "objtool",
        "record_mcount",
        "undefined_syms",
        "warn_shared_object",
    }
)
RUST_FORMS = frozenset({"rustc_rsi_rs", "rustc_s_rs", "rustc_ll_rs"})
SINGLE_RULES = RUST_FORMS | {
    "cpp_i_c",
    "cc_s_c",
    "cpp_s_S",
    "cc_lst_c",
    "cc_ll_c",
    "cc_symtypes_c",
    "cc_symtypes_S",
}
"""Rules that make another form of a source; only single targets have them."""
RUST_RULES = RUST_FORMS | {"rustc_o_rs"}
"""Those of COMPILE_RULES and SINGLE_RULES that run rustc."""
LINK_RULES = frozenset({"ld_multi_m", "link_multi-m"})
_LIST_RULES = frozenset({"mod", "modules_order", "gen_order"})
NATIVE_RULES = COMPILE_RULES | AFTER_COMPILE_RULES | LINK_RULES | SINGLE_RULES | _LIST_RULES
CHECK_RULES = frozenset({"checksrc", "force_checksrc", "checkdoc"})
"""Rules that check the source (sparse, kernel-doc) and do not change the object."""
