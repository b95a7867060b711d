/* Preloaded, fails one of the calls that change a folder: LD_PRELOAD=failing_writes.so

   Counts every call that would change something under the folder given to `watch`, in
   whatever library it is made. The call with the number given there fails, and those
   after it, too, where `lasting` is set. A program that knows nothing of this is told
   so by its environment: FAILING_WRITES="NUMBER ERROR LASTING FOLDER". */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static char first_failed[PATH_MAX + 32];
static long failing;
static int error, lasting;
static atomic_long calls;
static atomic_int on;

/* Calls are counted from 1 on; `number` 0 lets all of them pass. */
void watch(const char *path, long number, int error_number, int is_lasting) {
    snprintf(folder, sizeof folder, "%s", path);
    first_failed[0] = 0;
    failing = number, error = error_number, lasting = is_lasting;
    atomic_store(&calls, 0);
    atomic_store(&on, 1);
}

__attribute__((constructor)) static void begin(void) {
    const char *told = getenv("FAILING_WRITES");
    long number;
    int error_number, is_lasting, start;
    if (told && sscanf(told, "%ld %d %d %n", &number, &error_number, &is_lasting, &start) == 3)
        watch(told + start, number, error_number, is_lasting);
}

/* How many calls there were; where the first failed, `failed_call` says what it was. */
long stop_watching(void) {
    atomic_store(&on, 0);
    return atomic_load(&calls);
}

const char *failed_call(void) { return first_failed; }

static int inside(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]);
}

static int fails_now(const char *call, const char *path) {
    if (!inside(path)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (number != failing && !(lasting && failing && number > failing)) return 0;
    /* Where nothing is free, things may still be deleted. */
    if (number != failing && strcmp(call, "unlink") == 0) return 0;
    if (number == failing)
        snprintf(first_failed, sizeof first_failed, "%s %s", call, path);
    errno = error;
    return 1;
}

static int fails(const char *call, int at, const char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX] = "", link[64];
    if (!atomic_load(&on)) return 0;
    if (path[0] == '/') return fails_now(call, path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t size = at == AT_FDCWD ? -1 : readlink(link, base, sizeof base - 1);
    if (at == AT_FDCWD) size = getcwd(base, sizeof base) ? (ssize_t)strlen(base) : -1;
    if (size < 0) return 0;
    base[size] = 0;
    snprintf(whole, sizeof whole, "%s%s%s", base, *path ? "/" : "", path);
    return fails_now(call, whole);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode_t mode = va_arg(more, mode_t);                                            \
        va_end(more);                                                                  \
        if (WRITES(flags) && fails("open", AT_FDCWD, path)) return -1;                 \
        return REAL(name)(path, flags, mode);                                          \
    }
#define OPEN_AT(name)                                                                  \
    int name(int at, const char *path, int flags, ...) {                               \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode_t mode = va_arg(more, mode_t);                                            \
        va_end(more);                                                                  \
        if (WRITES(flags) && fails("open", at, path)) return -1;                       \
        return REAL(name)(at, path, flags, mode);                                      \
    }
#define ON_FILE(call, type, name, parameters, arguments)                               \
    type name parameters {                                                             \
        return fails(call, file, "") ? -1 : REAL(name) arguments;                      \
    }
#define ON_PATH(call, at, name, parameters, arguments)                                 \
    int name parameters {                                                              \
        return fails(call, at, path) ? -1 : REAL(name) arguments;                      \
    }

OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)
ON_FILE("write", ssize_t, write, (int file, const void *data, size_t n),
        (file, data, n))
ON_FILE("write", ssize_t, pwrite, (int file, const void *data, size_t n, off_t at),
        (file, data, n, at))
ON_FILE("write", ssize_t, pwrite64, (int file, const void *data, size_t n, off64_t at),
        (file, data, n, at))
ON_FILE("write", ssize_t, writev, (int file, const struct iovec *data, int n),
        (file, data, n))
ON_FILE("write", ssize_t, pwritev,
        (int file, const struct iovec *data, int n, off_t at), (file, data, n, at))
ON_FILE("sync", int, fsync, (int file), (file))
ON_FILE("sync", int, fdatasync, (int file), (file))
ON_FILE("truncate", int, ftruncate, (int file, off_t n), (file, n))
ON_FILE("truncate", int, ftruncate64, (int file, off64_t n), (file, n))
ON_PATH("rename", AT_FDCWD, rename, (const char *path, const char *to), (path, to))
ON_PATH("rename", at, renameat,
        (int at, const char *path, int to_at, const char *to), (at, path, to_at, to))
ON_PATH("mkdir", AT_FDCWD, mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH("mkdir", at, mkdirat, (int at, const char *path, mode_t mode),
        (at, path, mode))
ON_PATH("unlink", AT_FDCWD, unlink, (const char *path), (path))
ON_PATH("unlink", at, unlinkat, (int at, const char *path, int flags),
        (at, path, flags))
ON_PATH("unlink", AT_FDCWD, rmdir, (const char *path), (path))
