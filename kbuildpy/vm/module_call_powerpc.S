/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for powerpc of 64 bits: as module_call_x86_64.S. The kernel returns
# an errno as it is, and says in a condition register that it is one.

        .globl  _start
_start:
        mr      31, 1
        ld      5, 0(31)                # argc
        ld      3, 16(31)               # argv[1]
        cmpwi   5, 3
        bne     remove

        li      4, 0                    # O_RDONLY
        li      0, 5                    # open
        sc
        bso     print
        ld      4, 24(31)               # argv[2]
        li      5, 0                    # no flags
        li      0, 353                  # finit_module
        sc
        b       print

remove: li      4, 0x800                # O_NONBLOCK
        li      0, 129                  # delete_module
        sc

print:  mr      6, 3                    # the errno; its digits go below the stack pointer, the last one first
        addi    4, 31, -1
        li      7, '\n'
        stb     7, 0(4)
        li      8, 10
digit:  divdu   9, 6, 8
        mulld   10, 9, 8
        subf    7, 10, 6
        addi    7, 7, '0'
        stbu    7, -1(4)
        mr.     6, 9
        bne     digit

        subf    5, 4, 31
        li      3, 1                    # standard output
        li      0, 4                    # write
        sc
        li      3, 0
        li      0, 1                    # exit
        sc
