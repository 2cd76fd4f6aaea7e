/* Other names for the same socket, the same name for another, and programs that are not where they were: in namespaces
 * and roots of this process's own, or for a moment. `client WAY ADDRESS OTHER MARK`; what OTHER is, the way says. */
#include "client.h"
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* As <sys/mount.h> has them, which cannot be had beside <linux/mount.h>. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
enum { BIND = 4096, RECURSIVE = 16384, PRIVATE = 1 << 18, DETACH = 2 };

static int connect_to(const char *path) { return set_address(path) ? by_connect() : EINVAL; }

static char *folder_of(const char *path) { return dirname(strdup(path)); }

static char *name_of(const char *path) { return basename(strdup(path)); }

/* Whatever is mounted from here on, this process alone sees. */
static int private_mounts(void) {
    return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, PRIVATE | RECURSIVE, NULL) ? errno : 0;
}

static int by_unshared(void) {
    return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) ? errno : by_connect();
}

static int by_unshared_network(void) { return unshare(CLONE_NEWNET) ? errno : by_connect(); }

/* The socket's folder becomes the root. */
static int by_chroot(void) {
    if (chdir("/") || chroot(folder_of(given[2]))) return errno;
    return connect_to(strcat(strcpy(malloc(256), "/"), name_of(given[2])));
}

/* The same by pivot_root, with nothing left of the old root: this program is then nowhere. OTHER: an empty folder. */
static int by_pivot(void) {
    int failed = private_mounts();
    if (failed) return failed;
    if (mount(folder_of(given[2]), given[3], NULL, BIND, NULL) || chdir(given[3])) return errno;
    if (syscall(SYS_pivot_root, ".", ".") || umount2(".", DETACH) || chdir("/")) return errno;
    return connect_to(strcat(strcpy(malloc(256), "/"), name_of(given[2])));
}

/* A mount of the socket's folder that is attached nowhere. */
static int by_detached_mount(void) {
    int tree = syscall(SYS_open_tree, AT_FDCWD, folder_of(given[2]), OPEN_TREE_CLONE);
    char path[108];
    if (tree < 0) return errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", tree, name_of(given[2]));
    return connect_to(path);
}

/* Another socket, OTHER, mounted over this one: what is reached is no runtime's. */
static int by_masked(void) {
    int failed = private_mounts();
    if (failed) return failed;
    return mount(given[3], given[2], NULL, BIND, NULL) ? errno : by_connect();
}

/* The socket mounted over OTHER's name. */
static int by_mounted(void) {
    int failed = private_mounts();
    if (failed) return failed;
    return mount(given[2], given[3], NULL, BIND, NULL) ? errno : connect_to(given[3]);
}

/* OTHER: a name for a moment. */
static int by_link(void) {
    if (link(given[2], given[3])) return errno;
    int result = connect_to(given[3]);
    unlink(given[3]);
    return result;
}

static int by_symlink(void) {
    if (symlink(given[2], given[3])) return errno;
    int result = connect_to(given[3]);
    unlink(given[3]);
    return result;
}

static int by_rename(void) {
    if (rename(given[2], given[3])) return errno;
    int result = connect_to(given[3]);
    return rename(given[3], given[2]) ? errno : result;
}

/* There and back again before it connects. */
static int by_rename_back(void) {
    if (rename(given[2], given[3]) || rename(given[3], given[2])) return errno;
    return by_connect();
}

/* OTHER is another name of the socket's folder. */
static int by_renamed_folder(void) {
    char path[108];
    snprintf(path, sizeof path, "%s/%s", given[3], name_of(given[2]));
    if (rename(folder_of(given[2]), given[3])) return errno;
    int result = connect_to(path);
    return rename(given[3], folder_of(given[2])) ? errno : result;
}

static int exchanged(const char *path) {
    if (renameat2(AT_FDCWD, given[2], AT_FDCWD, given[3], RENAME_EXCHANGE)) return errno;
    int result = connect_to(path);
    return renameat2(AT_FDCWD, given[2], AT_FDCWD, given[3], RENAME_EXCHANGE) ? errno : result;
}

/* The two sockets change names: the runtime's is reached by OTHER's. */
static int by_exchange(void) { return exchanged(given[3]); }

/* And by its own name OTHER is reached, which is no runtime's. */
static int by_exchanged(void) { return exchanged(given[2]); }

static void copy_self(const char *path) {
    char bytes[65536];
    ssize_t size;
    int from = open("/proc/self/exe", O_RDONLY), to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    while ((size = read(from, bytes, sizeof bytes)) > 0)
        if (write(to, bytes, size) != size) break;
    close(from);
    close(to);
}

/* A program that deletes its own file first. OTHER: where this one is copied to. */
static int by_deleted(void) {
    copy_self(given[3]);
    execl(given[3], given[3], "unlinked", given[2], mark, (char *)NULL);
    return errno;
}

static int by_unlinked(void) { return unlink(given[0]) ? errno : by_connect(); }

/* A program that was in no folder ever. */
static int by_memory(void) {
    char path[32];
    int file = memfd_create("in-memory", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    copy_self(path);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    close(file); /* a file that is open for writing cannot be executed */
    char *arguments[] = {given[3], "connect", given[2], mark, NULL};
    syscall(SYS_execveat, again, "", arguments, environ, AT_EMPTY_PATH);
    return errno;
}

static int listening_at(const char *path) {
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!set_address(path) || bind(descriptor, &address.any, length) || listen(descriptor, 8)) return -1;
    return descriptor;
}

/* Every number of a group of ext4's, and more. */
#define MOST_FILLERS 16384

static const char *filler(const char *path, int number) {
    static char name[PATH_MAX];
    snprintf(name, sizeof name, "%s.%d", path, number);
    return name;
}

/* Takes inode numbers that are free beside `path`, until the next to be given out is `wanted`; false where it never is. */
static int fill_up_to(const char *path, ino_t wanted, int *count) {
    for (*count = 0; *count < MOST_FILLERS; ++*count) {
        struct stat made;
        int descriptor = open(filler(path, *count), O_CREAT | O_EXCL | O_RDWR, 0600);
        if (descriptor < 0 || fstat(descriptor, &made)) return 0;
        close(descriptor);
        if (made.st_ino == wanted) return !unlink(filler(path, *count));
    }
    return 0;
}

/* A socket at `old`, known for a while, is removed, and its inode number goes to another one at `new`. Who else makes
   files there meanwhile may get the number: ENOSPC where it was not found, EBUSY where it was lost again. */
static int reused(const char *old, const char *new, unsigned settling) {
    struct stat before, after = {0};
    int count, descriptor = listening_at(old);
    if (descriptor < 0 || stat(old, &before)) return errno;
    wait_for_signal();
    close(descriptor);
    unlink(old);
    int filled = fill_up_to(new, before.st_ino, &count);
    descriptor = filled ? listening_at(new) : -1;
    while (count-- > 0) unlink(filler(new, count));
    if (!filled) return ENOSPC;
    if (descriptor < 0 || stat(new, &after) || after.st_ino != before.st_ino) return EBUSY;
    sleep(settling);
    int result = connect_to(new);
    unlink(new);
    return result;
}

/* OTHER, which is no runtime's, gets the inode of ADDRESS, which was one's. */
static int by_reused(void) { return reused(given[2], given[3], 0); }

/* ADDRESS gets the inode of OTHER. */
static int by_reusing(void) { return reused(given[3], given[2], 3); }

/* The program moves into memory of its own, so that nothing of its file is left in use. */
static int into_memory(void) {
    char line[512], own[256] = "";
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps || readlink("/proc/self/exe", own, sizeof own - 1) < 0) return errno;
    struct { char *start; size_t size; int rights; } parts[16];
    int count = 0;
    while (fgets(line, sizeof line, maps) && count < 16) {
        unsigned long start, end;
        char mode[5];
        if (!strstr(line, own) || sscanf(line, "%lx-%lx %4s", &start, &end, mode) != 3) continue;
        parts[count].start = (char *)start;
        parts[count].size = end - start;
        parts[count++].rights =
            (mode[0] == 'r') * PROT_READ | (mode[1] == 'w') * PROT_WRITE | (mode[2] == 'x') * PROT_EXEC;
    }
    fclose(maps);
    for (int i = 0; i < count; i++) {
        size_t size = parts[i].size;
        char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (copy == MAP_FAILED) return errno;
        memcpy(copy, parts[i].start, size);
        if (mprotect(copy, size, parts[i].rights)) return errno;
        if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, parts[i].start) == MAP_FAILED) return errno;
    }
    return 0;
}

/* The kernel is told that it ran another program, as one does that goes on from a checkpoint: `client replaced ADDRESS
 * PROGRAM MARK`. Anybody may, in a user namespace of his own. */
static int by_replaced_executable(void) {
    unsigned long long *told[52] = {0}; /* by field of proc(5), /proc/PID/stat */
    struct prctl_mm_map map = {.exe_fd = open(given[3], O_RDONLY)};
    char line[1024];
    FILE *stat = fopen("/proc/self/stat", "r");
    if (!stat || !fgets(line, sizeof line, stat) || (int)map.exe_fd < 0) return errno;
    fclose(stat);
    told[26] = &map.start_code, told[27] = &map.end_code, told[28] = &map.start_stack;
    told[45] = &map.start_data, told[46] = &map.end_data, told[47] = &map.start_brk;
    told[48] = &map.arg_start, told[49] = &map.arg_end, told[50] = &map.env_start, told[51] = &map.env_end;
    int number = 2;
    for (char *word = strtok(strrchr(line, ')') + 1, " "); word; word = strtok(NULL, " "))
        if (++number < 52 && told[number]) *told[number] = strtoull(word, NULL, 10);
    map.brk = (unsigned long)sbrk(0);
    int failed = into_memory();
    if (failed) return failed;
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0)) return errno;
    return by_connect();
}

const struct way places[] = {
    {"unshared", by_unshared},
    {"unshared-network", by_unshared_network},
    {"chroot", by_chroot},
    {"pivot", by_pivot},
    {"detached-mount", by_detached_mount},
    {"masked", by_masked},
    {"mounted", by_mounted},
    {"link", by_link},
    {"symlink", by_symlink},
    {"rename", by_rename},
    {"rename-back", by_rename_back},
    {"renamed-folder", by_renamed_folder},
    {"exchange", by_exchange},
    {"exchanged", by_exchanged},
    {"deleted", by_deleted},
    {"unlinked", by_unlinked},
    {"memory", by_memory},
    {"replaced", by_replaced_executable},
    {"reused", by_reused},
    {"reusing", by_reusing},
    {NULL, NULL},
};
