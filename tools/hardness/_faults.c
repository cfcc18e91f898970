/* Makes calls that touch the disk below one folder fail, or kills the process at them. Loaded with LD_PRELOAD, and
 * armed by `faults_arm` in a process that was forked; what is not armed calls through. See crashes.py. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CHANGES = 1, SPACE = 2, READS = 4 };                         /* what a call does */
enum { COUNT, KILL, TORN, ONCE, FROM };                             /* what happens at the n-th call */

static char root[PATH_MAX];
static size_t root_length;
static int mode, wanted, error_number, log_file = -1;
static long at, count;

void faults_arm(const char *folder, int what, int how, long number, int error, int log) {
    root_length = strlen(folder);
    memcpy(root, folder, root_length + 1);
    wanted = what, mode = how, at = number, error_number = error, log_file = log, count = 0;
}

long faults_count(void) { return count; }

static int below(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int of_file(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return below(path);
}

static int of_path(int folder, const char *name, char *path) {
    char base[PATH_MAX];
    if (!name) return 0;
    if (name[0] == '/') snprintf(path, PATH_MAX, "%s", name);
    else {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else of_file(folder, base);
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return below(path);
}

static void tell(long number, const char *call, const char *path) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path);
    if (log_file >= 0 && length > 0) syscall(SYS_write, log_file, line, (size_t)length);
}

/* Returns 0 to go on, 1 to fail, 2 to do half of it first. */
static int reached(const char *call, int kind, const char *path) {
    if (!(kind & wanted)) return 0;
    long number = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    if (mode == COUNT) tell(number, call, path);
    if (mode == COUNT || number < at || (number > at && mode != FROM)) return 0;
    if (number == at) tell(number, call, path);
    if (mode == TORN && strstr(call, "write")) return 2;
    if (mode == KILL || mode == TORN) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) sleep(1);
    }
    if (mode == FROM && number == at && strstr(call, "write")) return 2;
    errno = error_number;
    return 1;
}

static void half_done(void) {
    if (mode == TORN) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) sleep(1);
    }
}

#define REAL(result, name, ...)                                          \
    static result (*real)(__VA_ARGS__);                                  \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)
#define AT_FILE(name, kind)                                              \
    char path[PATH_MAX];                                                 \
    int step = root_length && of_file(fd, path) ? reached(#name, kind, path) : 0; \
    if (step == 1) return -1
#define AT_PATH(name, kind, folder, file)                                \
    char path[PATH_MAX];                                                 \
    if (root_length && of_path(folder, file, path) && reached(#name, kind, path)) return -1

/* Writing into files. */
ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    AT_FILE(write, CHANGES | SPACE);
    if (step == 2 && size > 1) {
        ssize_t done = real(fd, data, size / 2);
        half_done();
        return done;
    }
    if (step == 2) {
        half_done();
        errno = error_number;
        return -1;
    }
    return real(fd, data, size);
}
#define PWRITE(name)                                                     \
    ssize_t name(int fd, const void *data, size_t size, off_t offset) {  \
        REAL(ssize_t, name, int, const void *, size_t, off_t);           \
        AT_FILE(name, CHANGES | SPACE);                                  \
        if (step == 2) {                                                 \
            ssize_t done = size > 1 ? real(fd, data, size / 2, offset) : -1; \
            half_done();                                                 \
            errno = error_number;                                        \
            return done;                                                 \
        }                                                                \
        return real(fd, data, size, offset);                             \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    AT_FILE(writev, CHANGES | SPACE);
    if (step == 2) {
        ssize_t done = number > 1 ? real(fd, parts, number / 2) : -1;
        half_done();
        errno = error_number;
        return done;
    }
    return real(fd, parts, number);
}
ssize_t sendfile(int fd, int from, off_t *offset, size_t size) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    AT_FILE(sendfile, CHANGES | SPACE);
    return real(fd, from, offset, size);
}
ssize_t sendfile64(int fd, int from, off64_t *offset, size_t size) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    AT_FILE(sendfile, CHANGES | SPACE);
    return real(fd, from, offset, size);
}
ssize_t copy_file_range(int from, off64_t *start, int fd, off64_t *offset, size_t size, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    AT_FILE(copy_file_range, CHANGES | SPACE);
    return real(from, start, fd, offset, size, flags);
}
#define ON_FILE(name, kind, types, values)                               \
    int name types {                                                     \
        static int(*real) types;                                         \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);            \
        AT_FILE(name, kind);                                             \
        return real values;                                              \
    }
ON_FILE(fsync, CHANGES | SPACE, (int fd), (fd))
ON_FILE(fdatasync, CHANGES | SPACE, (int fd), (fd))
ON_FILE(ftruncate, CHANGES, (int fd, off_t size), (fd, size))
ON_FILE(ftruncate64, CHANGES, (int fd, off64_t size), (fd, size))
ON_FILE(fallocate, CHANGES | SPACE, (int fd, int how, off_t start, off_t size), (fd, how, start, size))
ON_FILE(fallocate64, CHANGES | SPACE, (int fd, int how, off64_t start, off64_t size), (fd, how, start, size))
ON_FILE(fchmod, CHANGES, (int fd, mode_t rights), (fd, rights))
int posix_fallocate(int fd, off_t start, off_t size) { return fallocate(fd, 0, start, size) ? errno : 0; }
int posix_fallocate64(int fd, off64_t start, off64_t size) { return fallocate64(fd, 0, start, size) ? errno : 0; }

/* Names. */
#define ON_PATH(name, kind, folder, file, types, values)                 \
    int name types {                                                     \
        static int(*real) types;                                         \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);            \
        AT_PATH(name, kind, folder, file);                               \
        return real values;                                              \
    }
ON_PATH(rename, CHANGES | SPACE, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(renameat, CHANGES | SPACE, two, to, (int one, const char *from, int two, const char *to), (one, from, two, to))
ON_PATH(renameat2, CHANGES | SPACE, two, to, (int one, const char *from, int two, const char *to, unsigned flags),
        (one, from, two, to, flags))
ON_PATH(link, CHANGES | SPACE, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(linkat, CHANGES | SPACE, two, to, (int one, const char *from, int two, const char *to, int flags),
        (one, from, two, to, flags))
ON_PATH(symlink, CHANGES | SPACE, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(symlinkat, CHANGES | SPACE, two, to, (const char *from, int two, const char *to), (from, two, to))
ON_PATH(mkdir, CHANGES | SPACE, AT_FDCWD, name, (const char *name, mode_t rights), (name, rights))
ON_PATH(mkdirat, CHANGES | SPACE, folder, name, (int folder, const char *name, mode_t rights), (folder, name, rights))
ON_PATH(unlink, CHANGES, AT_FDCWD, name, (const char *name), (name))
ON_PATH(unlinkat, CHANGES, folder, name, (int folder, const char *name, int flags), (folder, name, flags))
ON_PATH(rmdir, CHANGES, AT_FDCWD, name, (const char *name), (name))
ON_PATH(truncate, CHANGES, AT_FDCWD, name, (const char *name, off_t size), (name, size))
ON_PATH(chmod, CHANGES, AT_FDCWD, name, (const char *name, mode_t rights), (name, rights))
ON_PATH(fchmodat, CHANGES, folder, name, (int folder, const char *name, mode_t rights, int flags),
        (folder, name, rights, flags))
ON_PATH(utimensat, CHANGES, folder, name, (int folder, const char *name, const struct timespec *times, int flags),
        (folder, name, times, flags))

/* Opening: for writing it changes the disk, and needs room where the file is new. */
static int kind_of(int flags, int missing) {
    if (!(flags & (O_WRONLY | O_RDWR))) return READS;
    if (flags & O_CREAT && missing) return CHANGES | SPACE;
    return flags & O_TRUNC ? CHANGES : 0;
}
static int may_open(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    struct stat found;
    if (!root_length || !of_path(folder, name, path)) return 1;
    int kind = kind_of(flags, syscall(SYS_newfstatat, AT_FDCWD, path, &found, 0) != 0);
    return !reached(kind == READS ? "open" : "create", kind, path);
}
#define OPEN(name, folder, types, values)                                \
    int name types {                                                     \
        static int(*real)(int, const char *, int, ...);                  \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, "openat64");       \
        mode_t rights = 0;                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                             \
            va_list rest;                                                \
            va_start(rest, flags);                                       \
            rights = va_arg(rest, mode_t);                               \
            va_end(rest);                                                \
        }                                                                \
        if (!may_open(folder, file, flags)) return -1;                   \
        return real(folder, file, flags, rights);                        \
    }
OPEN(open, AT_FDCWD, (const char *file, int flags, ...), )
OPEN(open64, AT_FDCWD, (const char *file, int flags, ...), )
OPEN(openat, folder, (int folder, const char *file, int flags, ...), )
OPEN(openat64, folder, (int folder, const char *file, int flags, ...), )

/* Reading. */
ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, read, int, void *, size_t);
    AT_FILE(read, READS);
    return real(fd, data, size);
}
#define PREAD(name)                                                      \
    ssize_t name(int fd, void *data, size_t size, off_t offset) {        \
        REAL(ssize_t, name, int, void *, size_t, off_t);                 \
        AT_FILE(name, READS);                                            \
        return real(fd, data, size, offset);                             \
    }
PREAD(pread)
PREAD(pread64)
DIR *opendir(const char *name) {
    REAL(DIR *, opendir, const char *);
    char path[PATH_MAX];
    if (root_length && of_path(AT_FDCWD, name, path) && reached("opendir", READS, path)) return NULL;
    return real(name);
}
