# SPDX-License-Identifier: GPL-2.0-only
"""A module's type information (BTF), as kernel/bpf/btf.c reads it when a module comes: `btf_parse_module`.

Types are numbered on from the kernel's own, and names are offsets that go on from the kernel's strings; or both go on
from those of `.BTF.base`, the part of a kernel's types that a module was built with, which is then looked up in the
types of the kernel that loads it.

- `header`: the header and the parts that it names: btf_parse_hdr, btf_check_sec_info, btf_parse_str_sec.
- `types`: the types and their names, read from those parts.
- `env`: the state of the verifier and its messages: struct btf_verifier_env.
- `check_meta`: whether each type is sound in itself: btf_check_all_metas.
- `modifiers`: whether those that modify others lead to an end: btf_check_type_tags.
- `relocate`: whether all of `.BTF.base` is found in the kernel: tools/lib/bpf/btf_relocate.c.
- `members`: where the members of a kernel's struct are.
- `invalid`: the exceptions for what is not valid.
"""
