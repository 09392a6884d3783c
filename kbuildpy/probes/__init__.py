# SPDX-License-Identifier: GPL-2.0-only
"""Kernel probes: questions about the interface of a kernel tree, such as whether a struct has a member.

`probe` is a question as a value (`probes_file` reads them from a file), `answer_probes` answers many at once: exported
symbols out of Module.symvers, and all others in one run of the compiler. For that `translation_unit` puts them into one
source, `c_text` and `apart` say which may share one, `diagnostics` reads what the compiler says, `judge` makes answers
of it, and `ask_compiler` asks again where one probe hides another's errors. `declaring_headers` finds the headers that
a probe does not name. `results` is what a build gets.
"""
