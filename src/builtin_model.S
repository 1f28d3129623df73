/* The shipped models, put into the library as bytes. The paths are found through the include path.
 * Between NAME and NAME_end: vl_builtin_veil_n, the default, and vl_builtin_veil_p. */
    .macro model name, file
    .section .rodata
    .balign 64
    .global \name
    .hidden \name
    .type \name, %object
\name:
    .incbin "\file"
    .global \name\()_end
    .hidden \name\()_end
\name\()_end:
    .byte 0
    .endm

    model vl_builtin_veil_n, "veil-n.veil"
    model vl_builtin_veil_p, "veil-p.veil"
    .section .note.GNU-stack,"",%progbits
