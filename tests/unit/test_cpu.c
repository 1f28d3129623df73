/* Levels turned off stay off, and no level is offered without the one it stands on. */
#include "cpu.h"
#include "veil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void off_means_off(void **state) {
    (void)state;
    assert_int_equal(vl_cpu_levels(VEIL_CPU_ALL), 0);
    uint32_t all = vl_cpu_levels(0);
    for (uint32_t bit = 0; bit < 32; bit++)
        assert_int_equal(vl_cpu_levels(1u << bit) & 1u << bit, 0);
    assert_int_equal(vl_cpu_levels(0), all);
}

static void levels_stand_on_each_other(void **state) {
    (void)state;
    for (uint32_t off = 0; off < 0x400; off++) {
        uint32_t on = vl_cpu_levels(off);
        assert_int_equal(on & off, 0);
        if ((on & VEIL_CPU_AMX) != 0)
            assert_int_not_equal(on & VEIL_CPU_AVX512VNNI, 0);
        if ((on & VEIL_CPU_AVX512VNNI) != 0)
            assert_int_not_equal(on & VEIL_CPU_AVX512, 0);
        if ((on & (VEIL_CPU_AVX512 | VEIL_CPU_AVXVNNI)) != 0)
            assert_int_not_equal(on & VEIL_CPU_AVX2, 0);
        if ((on & VEIL_CPU_DOTPROD) != 0)
            assert_int_not_equal(on & VEIL_CPU_NEON, 0);
    }
}

#if defined(__x86_64__)
/* The compiler's own detection as a second opinion. */
static void agrees_with_the_compiler(void **state) {
    (void)state;
    uint32_t on = vl_cpu_levels(0);
    assert_int_equal((on & VEIL_CPU_AVX2) != 0,
                     __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0);
    assert_int_equal((on & VEIL_CPU_AVX512) != 0, __builtin_cpu_supports("avx512f") != 0 &&
                                                      __builtin_cpu_supports("avx512bw") != 0 &&
                                                      __builtin_cpu_supports("avx512dq") != 0 &&
                                                      __builtin_cpu_supports("avx512vl") != 0);
    assert_int_equal((on & VEIL_CPU_AVX512VNNI) != 0, __builtin_cpu_supports("avx512vnni") != 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_means_off),
        cmocka_unit_test(levels_stand_on_each_other),
#if defined(__x86_64__)
        cmocka_unit_test(agrees_with_the_compiler),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
