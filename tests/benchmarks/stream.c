/* STREAM's triad in plain C (McCalpin 1995), for `tests.benchmarks`: argument n numbers
 * an array; for each line on the standard input so many triads, and a line when they are done. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static double *array(size_t n, double value) {
    double *a = aligned_alloc(1 << 21, (n * sizeof(double) + (1 << 21) - 1) >> 21 << 21);
    if (!a) exit(1);
#ifdef MADV_HUGEPAGE
    madvise(a, n * sizeof(double), MADV_HUGEPAGE); /* as torch asks for here */
#endif
#pragma omp parallel for
    for (size_t i = 0; i < n; i++) a[i] = value;
    return a;
}

int main(int argc, char **argv) {
    size_t n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0, times;
    if (!n) return 1;
    double *a = array(n, 1), *b = array(n, 2), *c = array(n, 3);
    while (scanf("%zu", &times) == 1) {
        while (times--)
#pragma omp parallel for
            for (size_t i = 0; i < n; i++) a[i] = b[i] + 3.0 * c[i];
        puts("done");
        fflush(stdout);
    }
    return a[n / 2] != 11.0; /* the result is used, and checked */
}
