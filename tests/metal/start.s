# From the 32-bit entry of the PVH boot protocol to `main` in ring 3, 64 bits, with all ports and the
# first 4 GiB of memory open to it. What happens before is little, as KVM without hardware support
# emulates it; there are no interrupts, and no way back.

# The note that names the entry (Xen, docs/misc/pvh.pandoc: XEN_ELFNOTE_PHYS32_ENTRY).
.section .note.pvh, "a", @note
.balign 4
.long 4, 8, 18
.asciz "Xen"
.quad start

.section .text.start, "ax"
.code32
.globl start
start:
    mov $task_state, %eax       # its address, in the three places of its descriptor
    mov %ax, task + 2
    shr $16, %eax
    mov %al, task + 4
    mov %ah, task + 7
    lgdt gdt_register
    mov $0x620, %eax            # CR4: PAE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $page_map, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       # EFER: LME
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80000013, %eax       # CR0: PG, ET, MP, PE
    mov %eax, %cr0
    ljmp $0x08, $long

.code64
long:
    mov $0x28, %eax
    ltr %ax
    mov $stack, %rsp
    push $0x1b                  # SS
    push $stack - 8             # RSP, as after a call
    push $0x02                  # RFLAGS
    push $0x23                  # CS
    push $main
    iretq

.section .rodata
.balign 8
gdt_register:
    .word gdt_end - gdt - 1
    .long gdt

.data
.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # 08: code, ring 0
    .quad 0x00cf93000000ffff    # 10: data, ring 0
    .quad 0x00cff3000000ffff    # 18: data, ring 3
    .quad 0x00affb000000ffff    # 20: code, ring 3
task:
    .quad 0x0000890000002068    # 28: task state, with the bitmap of ports
    .quad 0
gdt_end:

.balign 8
task_state:
    .zero 102
    .word 104                   # where the bitmap begins
    .zero 8192                  # every port is allowed
    .byte 0xff

# 4 GiB as they are, in pages of 2 MiB: present, writable, for users.
.balign 4096
page_map:
    .quad directories + 7
    .fill 511, 8, 0
directories:
    .quad pages + 0x0007, pages + 0x1007, pages + 0x2007, pages + 0x3007
    .fill 508, 8, 0
pages:
    .set page, 0
    .rept 2048
    .quad (page << 21) | 0x87
    .set page, page + 1
    .endr

.bss
.balign 16
    .skip 65536
stack:
