/* A double of macOS' statfs, laid out as <sys/mount.h> has it, for tests on other systems. */

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct darwin_statfs {
    uint32_t f_bsize;
    int32_t f_iosize;
    uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
    int32_t f_fsid[2];
    uint32_t f_owner, f_type, f_flags, f_fssubtype;
    char f_fstypename[16];
    char f_mntonname[1024], f_mntfromname[1024];
    uint32_t f_flags_ext, f_reserved[7];
};

_Static_assert(sizeof(struct darwin_statfs) == 2168, "as the header says");

#ifdef WITH_INODE64
int statfs(const char *path, void *buffer) {
    (void)path;
    memset(buffer, 'x', sizeof(struct darwin_statfs));
    return 0;
}
int darwin_statfs(const char *path, struct darwin_statfs *buffer) __asm__("statfs$INODE64");
int darwin_statfs(const char *path, struct darwin_statfs *buffer)
#else
int statfs(const char *path, struct darwin_statfs *buffer)
#endif
{
    if (strncmp(path, "/Volumes/", 9) == 0 && strcmp(path + 9, "gone") == 0) {
        errno = ENOENT;
        return -1;
    }
    memset(buffer, 0, sizeof *buffer);
    strcpy(buffer->f_fstypename, strncmp(path, "/Volumes/", 9) == 0 ? path + 9 : "apfs");
    return 0;
}
