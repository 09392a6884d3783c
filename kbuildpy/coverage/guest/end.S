/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the pointers to the counters of an instrumented module end. */
	.section .gcov_info, "a"
	.balign 8
	.globl __kbuildpy_counters_end
__kbuildpy_counters_end:

	.section .note.GNU-stack, ""
