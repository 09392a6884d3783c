/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for s390x: as module_call_x86_64.S.

        .globl  _start
_start:
        lgr     %r8, %r15
        lg      %r7, 0(%r8)             # argc
        lg      %r2, 16(%r8)            # argv[1]
        cghi    %r7, 3
        jne     remove

        lghi    %r3, 0                  # O_RDONLY
        svc     5                       # open
        ltgr    %r2, %r2
        jl      print
        lg      %r3, 24(%r8)            # argv[2]
        lghi    %r4, 0                  # no flags
        lghi    %r1, 344                # finit_module
        svc     0
        j       print

remove: lghi    %r3, 0x800              # O_NONBLOCK
        svc     129                     # delete_module

print:  lcgr    %r5, %r2                # the errno; its digits go below the stack pointer, the last one first
        lay     %r3, -1(%r8)
        mvi     0(%r3), 10              # a newline
        lghi    %r7, 10
digit:  lghi    %r4, 0
        dlgr    %r4, %r7                # (the rest to %r4, the quotient to %r5)
        aghi    %r4, 48                 # '0'
        aghi    %r3, -1
        stc     %r4, 0(%r3)
        ltgr    %r5, %r5
        jne     digit

        lgr     %r4, %r8
        sgr     %r4, %r3
        lghi    %r2, 1                  # standard output
        svc     4                       # write
        lghi    %r2, 0
        svc     1                       # exit
