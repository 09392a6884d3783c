# SPDX-License-Identifier: GPL-2.0-only
"""A module's type information (BTF), as the kernel reads it on loading: kernel/bpf/btf.c: btf_parse_module.

A module has split BTF: its type numbers and its string offsets continue those of a base. The base is the kernel's BTF,
or the module's section `.BTF.base`, which has the kernel types that the module was built against. The kernel that loads
the module looks the types of `.BTF.base` up in its own BTF.

- `header`: the header and the parts that it names: btf_parse_hdr, btf_check_sec_info, btf_parse_str_sec.
- `types`: the types and their names, read from those parts.
- `env`: the state of the verifier and its messages: struct btf_verifier_env.
- `check_meta`: checks each type by itself: btf_check_all_metas.
- `modifiers`: checks that each chain of modifiers (const, typedef, ...) ends: btf_check_type_tags.
- `relocate`: looks every type of `.BTF.base` up in the kernel: tools/lib/bpf/btf_relocate.c.
- `members`: where the members of a kernel's struct are.
- `invalid`: the exceptions for invalid type information.
"""
