/* The shipped model, put into the library as bytes. VEIL_MODEL_PATH is found through the include
 * path. vl_builtin_model .. vl_builtin_model_end. */
    .section .rodata
    .balign 64
    .global vl_builtin_model
    .hidden vl_builtin_model
    .type vl_builtin_model, %object
vl_builtin_model:
    .incbin VEIL_MODEL_PATH
    .global vl_builtin_model_end
    .hidden vl_builtin_model_end
vl_builtin_model_end:
    .byte 0
    .section .note.GNU-stack,"",%progbits
