/* Reads the directories of a tree and nothing else: the least that any search has to do.
 *
 * usage: reading DIRECTORY NAME ...
 *
 * Directories of the given names are counted and not entered. Prints how many were read and how
 * many were not entered.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **names;
static long entered, found;

static int is_named(const char *name)
{
    for (char **one = names; *one; one++)
        if (strcmp(name, *one) == 0)
            return 1;
    return 0;
}

static int is_directory(int parent, const struct dirent *entry)
{
    struct stat status;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(parent, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISDIR(status.st_mode);
}

static void enter(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!directory) {
        perror(name);
        return;
    }
    entered++;
    while ((entry = readdir(directory))) {
        const char *child = entry->d_name;
        if (!is_directory(fd, entry) || strcmp(child, ".") == 0 || strcmp(child, "..") == 0)
            continue;
        if (is_named(child))
            found++;
        else
            enter(fd, child);
    }
    closedir(directory);
}

int main(int count, char **words)
{
    if (count < 2) {
        fprintf(stderr, "usage: reading DIRECTORY NAME ...\n");
        return 2;
    }
    names = words + 2;
    enter(AT_FDCWD, words[1]);
    printf("%ld %ld\n", entered, found);
    return 0;
}
