/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for x86-64 (kbuildpy/vm/module_call.py says why).
#
#   module_call FILE PARAMETERS    finit_module(2)
#   module_call NAME               delete_module(2), O_NONBLOCK
#
# Prints the errno as a decimal number, 0 for success.

        .globl  _start
_start:
        mov     16(%rsp), %rdi          # argv[1]
        cmpl    $3, (%rsp)              # argc
        jne     remove

        xor     %esi, %esi              # O_RDONLY
        mov     $2, %eax                # open
        syscall
        test    %eax, %eax
        js      print
        mov     %eax, %edi
        mov     24(%rsp), %rsi          # argv[2]
        xor     %edx, %edx              # no flags
        mov     $313, %eax              # finit_module
        syscall
        jmp     print

remove: mov     $0x800, %esi            # O_NONBLOCK
        mov     $176, %eax              # delete_module
        syscall

print:  neg     %eax                    # the errno; its digits go below the stack pointer, the last one first
        lea     -1(%rsp), %rsi
        movb    $'\n', (%rsi)
        mov     $10, %ecx
digit:  xor     %edx, %edx
        div     %ecx
        add     $'0', %dl
        dec     %rsi
        mov     %dl, (%rsi)
        test    %eax, %eax
        jnz     digit

        mov     %rsp, %rdx
        sub     %rsi, %rdx
        mov     $1, %edi                # standard output
        mov     $1, %eax                # write
        syscall
        xor     %edi, %edi
        mov     $60, %eax               # exit
        syscall
