/* SPDX-License-Identifier: GPL-2.0-only */
# The guest's program that loads and removes modules, for i386: as module_call_x86_64.S.

        .globl  _start
_start:
        mov     %esp, %ebp
        mov     8(%ebp), %ebx           # argv[1]
        cmpl    $3, (%ebp)              # argc
        jne     remove

        xor     %ecx, %ecx              # O_RDONLY
        mov     $5, %eax                # open
        int     $0x80
        test    %eax, %eax
        js      print
        mov     %eax, %ebx
        mov     12(%ebp), %ecx          # argv[2]
        xor     %edx, %edx              # no flags
        mov     $350, %eax              # finit_module
        int     $0x80
        jmp     print

remove: mov     $0x800, %ecx            # O_NONBLOCK
        mov     $129, %eax              # delete_module
        int     $0x80

print:  neg     %eax                    # the errno; its digits go below the stack pointer, the last one first
        lea     -1(%ebp), %ecx
        movb    $'\n', (%ecx)
        mov     $10, %ebx
digit:  xor     %edx, %edx
        div     %ebx
        add     $'0', %dl
        dec     %ecx
        mov     %dl, (%ecx)
        test    %eax, %eax
        jnz     digit

        mov     %ebp, %edx
        sub     %ecx, %edx
        mov     $1, %ebx                # standard output
        mov     $4, %eax                # write
        int     $0x80
        xor     %ebx, %ebx
        mov     $1, %eax                # exit
        int     $0x80
