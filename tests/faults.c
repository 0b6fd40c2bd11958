/* SPDX-License-Identifier: BSD-3-Clause
 * Faults of the file system for a preloaded process: the FAULT_AT-th of the calls that write, count
 * or rename a file whose name ends in ".tmp" fails with FAULT_ERROR (an errno), and so do all later
 * ones if FAULT_STAYS is set; FAULT_ERROR 0 makes a write of half of its bytes instead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long calls;

long fault_calls(void)
{
    return calls;
}

static int ours(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

static int of_file(int file)
{
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, name, sizeof name - 1);
    if (n < 0)
        return 0;
    name[n] = 0;
    return ours(name);
}

/* -1: go on; else the errno of the fault, 0 for a short write. */
static int fault(void)
{
    const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR");
    long now = ++calls, when = at ? atol(at) : 0;
    if (!at || !error)
        return -1;
    return now == when || (now > when && getenv("FAULT_STAYS")) ? atoi(error) : -1;
}

ssize_t write(int file, const void *data, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "write");
    int error = of_file(file) ? fault() : -1;
    if (error > 0) {
        errno = error;
        return -1;
    }
    return real(file, data, error == 0 && size > 1 ? size / 2 : size);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fsync");
    int error = of_file(file) ? fault() : -1;
    if (error > 0) {
        errno = error;
        return -1;
    }
    return real(file);
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (!real)
        real = dlsym(RTLD_NEXT, "rename");
    int error = ours(from) ? fault() : -1;
    if (error > 0) {
        errno = error;
        return -1;
    }
    return real(from, to);
}
