/* A test double of the parts of Apple's libSystem and CoreFoundation that regrow calls.
 *
 * It is not Apple's code: it has the signatures, constants and error numbers of Apple's headers and
 * manual pages (getxattr(2), setxattr(2), removexattr(2), getattrlist(2), CFURL.h, CFString.h), and
 * refuses what Darwin refuses. Attributes are kept in memory, by device and inode. Every call goes
 * into a log. What would crash a Mac (a reference released twice, or never made) is a line in it
 * that begins with FAULT. Built with -DWITHOUT_TRUE or -DWITHOUT_SET_CALL, that symbol is missing.
 */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <errno.h>

/* Darwin's <sys/errno.h>, where it differs, and <sys/xattr.h>. */
enum { DARWIN_ENOATTR = 93 };
enum { XATTR_NOFOLLOW = 1, XATTR_CREATE = 2, XATTR_REPLACE = 4, XATTR_MAXNAMELEN = 127 };

/* What a test may ask for; double_reset puts all of it back. */
enum set_call { DOES_IT = 0, CLAIMS_IT = 1, REFUSES = 2 };
int double_set_call;            /* enum set_call */
int double_no_url;              /* CFURLCreateFromFileSystemRepresentation gives NULL */
int double_no_string;           /* CFStringCreateWithCString gives NULL */
int double_fgetxattr_errno;     /* these fail so, if not 0 */
int double_fsetxattr_errno;
int double_fremovexattr_errno;
int double_fgetattrlist_errno;
int double_volume_root_only;    /* older kernels: only a volume's root can be asked */
int double_fsetxattr_idles;     /* it succeeds and does nothing */
int double_fremovexattr_idles;
int double_capabilities;        /* capabilities[VOL_CAPABILITIES_INTERFACES] */
int double_capabilities_valid;  /* valid[VOL_CAPABILITIES_INTERFACES] */

/* What happened, for a test to read. */
char double_log[1 << 16];
int double_created;
int double_released;

static void note(const char *format, ...)
{
    size_t used = strlen(double_log);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(double_log + used, sizeof double_log - used, format, arguments);
    va_end(arguments);
}

/* The attributes. */

static struct attribute {
    dev_t device;
    ino_t inode;
    char name[XATTR_MAXNAMELEN + 1];
    unsigned char value[8192];
    size_t size;
    int present;
} attributes[64];

static struct attribute *find(const struct stat *status, const char *name)
{
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        struct attribute *it = &attributes[i];
        if (it->present && it->device == status->st_dev && it->inode == status->st_ino
            && strcmp(it->name, name) == 0)
            return it;
    }
    return NULL;
}

static void store(const struct stat *status, const char *name, const void *value, size_t size)
{
    struct attribute *it = find(status, name);
    for (size_t i = 0; it == NULL && i < sizeof attributes / sizeof *attributes; i++)
        if (!attributes[i].present)
            it = &attributes[i];
    if (it == NULL || size > sizeof it->value)
        abort();
    *it = (struct attribute){ .device = status->st_dev, .inode = status->st_ino, .present = 1 };
    strcpy(it->name, name);
    memcpy(it->value, value, size);
    it->size = size;
}

static int fail(int number)
{
    errno = number;
    return -1;
}

/* A call that succeeds may leave anything in errno. */
static int succeed(int result)
{
    errno = EINVAL;
    return result;
}

/* Refuses what every attribute call on a descriptor refuses; fills the status. */
static int refuses(int fd, const char *name, uint32_t position, int options, int allowed,
                   struct stat *status)
{
    if (options & ~allowed)
        return fail(EINVAL);
    if (strlen(name) > XATTR_MAXNAMELEN)
        return fail(ENAMETOOLONG);
    if (position != 0) /* for com.apple.ResourceFork alone */
        return fail(EINVAL);
    return fstat(fd, status);
}

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size, uint32_t position,
                  int options)
{
    struct stat status;
    note("fgetxattr(%s)\n", name);
    if (refuses(fd, name, position, options, 0, &status) != 0)
        return -1;
    if (double_fgetxattr_errno)
        return fail(double_fgetxattr_errno);
    struct attribute *it = find(&status, name);
    if (it == NULL)
        return fail(DARWIN_ENOATTR);
    if (value != NULL && size < it->size)
        return fail(ERANGE);
    if (value != NULL)
        memcpy(value, it->value, it->size);
    return succeed((int)it->size);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, uint32_t position,
              int options)
{
    struct stat status;
    note("fsetxattr(%s)\n", name);
    if (refuses(fd, name, position, options, XATTR_CREATE | XATTR_REPLACE, &status) != 0)
        return -1;
    if (double_fsetxattr_errno)
        return fail(double_fsetxattr_errno);
    if ((options & XATTR_CREATE) && find(&status, name) != NULL)
        return fail(EEXIST);
    if ((options & XATTR_REPLACE) && find(&status, name) == NULL)
        return fail(DARWIN_ENOATTR);
    if (!double_fsetxattr_idles)
        store(&status, name, value, size);
    return succeed(0);
}

int fremovexattr(int fd, const char *name, int options)
{
    struct stat status;
    note("fremovexattr(%s)\n", name);
    if (refuses(fd, name, 0, options, 0, &status) != 0)
        return -1;
    if (double_fremovexattr_errno)
        return fail(double_fremovexattr_errno);
    struct attribute *it = find(&status, name);
    if (it == NULL)
        return fail(DARWIN_ENOATTR);
    if (!double_fremovexattr_idles)
        it->present = 0;
    return succeed(0);
}

/* <sys/attr.h> */
struct attrlist {
    unsigned short bitmapcount;
    uint16_t reserved;
    uint32_t commonattr, volattr, dirattr, fileattr, forkattr;
};
enum { ATTR_BIT_MAP_COUNT = 5, VOL_CAPABILITIES_INTERFACES = 1 };
#define ATTR_VOL_INFO 0x80000000u
#define ATTR_VOL_CAPABILITIES 0x00020000u
enum { VOL_CAP_INT_EXTENDED_ATTR = 0x00004000 };

/* Answers a request for the volume's capabilities, and for nothing else. */
int fgetattrlist(int fd, void *list, void *answer, size_t size, uint32_t options)
{
    struct attrlist wanted;
    struct { uint32_t length, capabilities[4], valid[4]; } result = { .length = sizeof result };
    struct stat status;
    note("fgetattrlist()\n");
    memcpy(&wanted, list, sizeof wanted);
    if (fstat(fd, &status) != 0)
        return -1;
    if (double_fgetattrlist_errno)
        return fail(double_fgetattrlist_errno);
    if (double_volume_root_only) {
        struct stat up;
        if (fstatat(fd, "..", &up, 0) != 0)
            return -1;
        if (up.st_dev == status.st_dev && up.st_ino != status.st_ino)
            return fail(EINVAL);
    }
    if (wanted.bitmapcount != ATTR_BIT_MAP_COUNT || wanted.reserved != 0 || options != 0
        || wanted.volattr != (ATTR_VOL_INFO | ATTR_VOL_CAPABILITIES) || wanted.commonattr
        || wanted.dirattr || wanted.fileattr || wanted.forkattr)
        return fail(EINVAL);
    result.capabilities[VOL_CAPABILITIES_INTERFACES] = (uint32_t)double_capabilities;
    result.valid[VOL_CAPABILITIES_INTERFACES] = (uint32_t)double_capabilities_valid;
    if (size < sizeof result) /* cut off without a word */
        result.length = (uint32_t)size;
    memcpy(answer, &result, result.length);
    return succeed(0);
}

/* CoreFoundation */

typedef unsigned char Boolean;
typedef long CFIndex;
typedef const void *CFTypeRef;
enum { kCFStringEncodingUTF8 = 0x08000100 };

static struct object {
    enum { URL = 1, STRING } kind;
    char bytes[4097]; /* of a path, or of a string */
    int released;
} objects[256];

static const int the_truth;
#ifndef WITHOUT_TRUE
const CFTypeRef kCFBooleanTrue = &the_truth;
#endif

static CFTypeRef create(int kind, const void *bytes, size_t length)
{
    if (double_created == sizeof objects / sizeof *objects || length >= sizeof objects->bytes)
        abort();
    struct object *it = &objects[double_created++];
    *it = (struct object){ .kind = kind };
    memcpy(it->bytes, bytes, length);
    return it;
}

static const struct object *living(CFTypeRef reference, const char *where)
{
    for (int i = 0; i < double_created; i++)
        if (reference == &objects[i]) {
            if (!objects[i].released)
                return &objects[i];
            note("FAULT %s: object %d was released before\n", where, i);
            return NULL;
        }
    note("FAULT %s: %p is no object\n", where, (void *)reference);
    return NULL;
}

CFTypeRef CFURLCreateFromFileSystemRepresentation(CFTypeRef allocator, const uint8_t *bytes,
                                                  CFIndex length, Boolean directory)
{
    note("CFURLCreateFromFileSystemRepresentation(%s, ", allocator ? "an allocator" : "NULL");
    for (CFIndex i = 0; i < length; i++)
        note(bytes[i] > ' ' && bytes[i] < 0x7f ? "%c" : "\\x%02x", bytes[i]);
    note(", %ld, %d)\n", length, directory);
    return double_no_url ? NULL : create(URL, bytes, (size_t)length);
}

CFTypeRef CFStringCreateWithCString(CFTypeRef allocator, const char *bytes, uint32_t encoding)
{
    note("CFStringCreateWithCString(%s, %s, 0x%08x)\n", allocator ? "an allocator" : "NULL", bytes,
         encoding);
    if (encoding != kCFStringEncodingUTF8 || double_no_string)
        return NULL;
    return create(STRING, bytes, strlen(bytes));
}

#ifndef WITHOUT_SET_CALL
Boolean CFURLSetResourcePropertyForKey(CFTypeRef url, CFTypeRef key, CFTypeRef value,
                                       CFTypeRef *error)
{
    static const char property_list[] = /* 61 bytes, and a NUL */
        "bplist00\x5f\x10\x11" "com.apple.backupd" "\x08"
        "\0\0\0\0\0\0\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x1c";
    const struct object *place = living(url, "set, url"), *name = living(key, "set, key");
    struct stat status;
    note("CFURLSetResourcePropertyForKey(%s, %s)\n", value == &the_truth ? "true" : "not true",
         error ? "an error" : "NULL");
    if (place == NULL || name == NULL || place->kind != URL || name->kind != STRING
        || value != &the_truth || double_set_call == REFUSES)
        return 0;
    if (double_set_call == CLAIMS_IT || strcmp(name->bytes, "NSURLIsExcludedFromBackupKey") != 0)
        return 1;
    if (stat(place->bytes, &status) == 0) /* by name, through links */
        store(&status, "com.apple.metadata:com_apple_backup_excludeItem", property_list,
              sizeof property_list - 1);
    return 1;
}
#endif

void CFRelease(CFTypeRef reference)
{
    struct object *it = (struct object *)living(reference, "CFRelease");
    note("CFRelease()\n");
    if (it == NULL)
        return;
    it->released = 1;
    double_released++;
}

/* Attributes past regrow and past the log, as another program sees and sets them. */

ssize_t double_get(const char *path, const char *name, void *value, size_t size)
{
    struct stat status;
    struct attribute *it = stat(path, &status) == 0 ? find(&status, name) : NULL;
    if (it == NULL || it->size > size)
        return -1;
    memcpy(value, it->value, it->size);
    return (ssize_t)it->size;
}

void double_put(const char *path, const char *name, const void *value, size_t size)
{
    struct stat status;
    if (stat(path, &status) != 0)
        abort();
    store(&status, name, value, size);
}

void double_reset(void)
{
    double_set_call = DOES_IT;
    double_no_url = double_no_string = 0;
    double_fgetxattr_errno = double_fsetxattr_errno = 0;
    double_fremovexattr_errno = double_fgetattrlist_errno = 0;
    double_volume_root_only = 0;
    double_fsetxattr_idles = double_fremovexattr_idles = 0;
    double_capabilities = double_capabilities_valid = VOL_CAP_INT_EXTENDED_ATTR;
    double_created = double_released = 0;
    double_log[0] = '\0';
    memset(attributes, 0, sizeof attributes);
    memset(objects, 0, sizeof objects);
}
