# SPDX-License-Identifier: GPL-2.0-only
"""load_module() in Python: would a kernel load this module, and if not, with which errno and which line in its log?

- `load_module` calls the stages one after the other, in the kernel's order. Each stage returns or raises `Refusal` or
  `Undefined` (`verdict`, which also has the answer).
- `stages/`: a file for each stage of the kernel's load_module(). Vermagic, licence and taints by tags are checked in
  `stages/modinfo`, CRCs in `stages/versions`, signatures in `stages/signature_check`.
- `parameters/`: the stage that sets parameters. `btf/`: the verifier of type information.
- `machines/`: relocations and code patching, a package for each machine, and how to add one.
- `memory/`: the module's tables of pointers, its code and its data; the stages and machines read them.
- `load_info`: the module on its way through the stages, over `module_file`, its bytes. `printk`: the log's lines.
- `lay_out`: a module's layout without its verdict, for `info`.
- `kernel`: a kernel as a value, made from a tree or an image by `kernels/`. `facts`: the facts that may be missing, and
  the sentences about checks that were left out. `known`: the kernels whose loader is known.
- `since`: the versions from which on the loader behaves differently.
- `kept/`: verdicts that are kept, and looked up by what the stages asked the kernel.
- `check`: many files for many kernels, in processes. `exclusions`: modules that cannot be loaded together.
- `loaded`: the list of loaded modules. `lifecycle/`: scripts of insmod, rmmod and modprobe over it.
- `reports/`: verdicts as text, SARIF and JUnit.

To add a check that the next kernel's loader makes: name its version in `since`, write the check into the stage's file
(or a new file, called in `load_module`), and add a case to tests/vm/referee/damage/ that damages a module so that the
real kernel refuses it: the referee compares errno and line. The kernel's message goes into
tests/vm/referee/messages.tsv, a refusal without one into tests/vm/referee/silent.py, a new file of damages into
`STAGES` of its folder. A fact about the kernel that no stage has read so far needs a question in `kept/`. A newer
kernel line is named in tests/support/guest_kernels.py and tests/support/packages.py.
"""
