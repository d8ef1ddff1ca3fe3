#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int ok, const char *what) {
    if (ok) return;
    perror(what);
    abort();
}

__attribute__((format(printf, 3, 4))) static void path_of(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    check(n > 0 && (size_t)n < size, "path");
}

static void make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        check(mkdir(path, 0755) == 0 || errno == EEXIST, path);
        *slash = '/';
    }
}

void tree_write(const Tree *tree, const char *name, const char *text) {
    char path[512];
    path_of(path, sizeof(path), "%s/%s", tree->path, name);
    make_directories(path);
    FILE *file = fopen(path, "w");
    check(file != NULL, path);
    fputs(text, file);
    fclose(file);
}

void tree_link(const Tree *tree, const char *name, const char *target) {
    char path[512];
    path_of(path, sizeof(path), "%s/%s", tree->path, name);
    make_directories(path);
    unlink(path);
    check(symlink(target, path) == 0, path);
}

void tree_make(Tree *tree) {
    /* In memory where it can be: thousands of small files, which a busy disk makes one at a time. */
    *tree = (Tree){.path = "/dev/shm/portwatch-test-XXXXXX"};
    if (!mkdtemp(tree->path)) {
        *tree = (Tree){.path = "/tmp/portwatch-test-XXXXXX"};
        check(mkdtemp(tree->path) != NULL, tree->path);
    }
    path_of(tree->proc, sizeof(tree->proc), "%s/proc", tree->path);
    path_of(tree->cgroup, sizeof(tree->cgroup), "%s/cgroup", tree->path);
    tree->roots = (KernelRoots){.proc = tree->proc, .cgroup = tree->cgroup};
    check(mkdir(tree->cgroup, 0755) == 0, tree->cgroup);
    tree_write(tree, "proc/self/status", "Name:\tportwatchd\nCapEff:\t000001ffffffffff\n");
    tree_link(tree, "proc/self/ns/pid", "pid:[4026531836]");
}

static void remove_all(const char *path) {
    DIR *directory = opendir(path);
    if (directory) {
        const struct dirent *entry;
        while ((entry = readdir(directory))) {
            char child[1024];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
            path_of(child, sizeof(child), "%s/%s", path, entry->d_name);
            struct stat st;
            if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode))
                remove_all(child);
            else
                unlink(child);
        }
        closedir(directory);
    }
    rmdir(path);
}

void tree_remove(Tree *tree) {
    remove_all(tree->path);
}

void tree_process(const Tree *tree, pid_t pid, pid_t ppid, uint64_t started, const char *comm, const char *exe,
    uid_t uid, const char *cgroup) {
    char name[128], text[1024];
    path_of(name, sizeof(name), "proc/%d/stat", (int)pid);
    path_of(text, sizeof(text), "%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %llu 1 2 3\n", (int)pid, comm,
        (int)ppid, (unsigned long long)started);
    tree_write(tree, name, text);
    path_of(name, sizeof(name), "proc/%d/status", (int)pid);
    path_of(text, sizeof(text), "Name:\tx\nUid:\t0\t%u\t0\t0\nGid:\t0\t0\t0\t0\n", uid);
    tree_write(tree, name, text);
    path_of(name, sizeof(name), "proc/%d/cgroup", (int)pid);
    path_of(text, sizeof(text), "0::%s\n", cgroup);
    tree_write(tree, name, text);
    path_of(name, sizeof(name), "proc/%d/cmdline", (int)pid);
    tree_write(tree, name, exe ? exe : "");
    if (exe) {
        path_of(name, sizeof(name), "proc/%d/exe", (int)pid);
        tree_link(tree, name, exe);
    }
    path_of(name, sizeof(name), "%s/proc/%d/fd", tree->path, (int)pid);
    check(mkdir(name, 0755) == 0 || errno == EEXIST, name);
    /* As procfs has it: the directory belongs to the effective user. */
    path_of(name, sizeof(name), "%s/proc/%d", tree->path, (int)pid);
    (void)!chown(name, uid, (gid_t)-1);
}

void tree_socket(const Tree *tree, pid_t pid, int fd, uint32_t inode) {
    char name[128], target[64];
    path_of(name, sizeof(name), "proc/%d/fd/%d", (int)pid, fd);
    path_of(target, sizeof(target), "socket:[%u]", inode);
    tree_link(tree, name, target);
}

void tree_close(const Tree *tree, pid_t pid, int fd) {
    char path[256];
    path_of(path, sizeof(path), "%s/proc/%d/fd/%d", tree->path, (int)pid, fd);
    check(unlink(path) == 0, path);
}

void tree_kill(const Tree *tree, pid_t pid) {
    char path[256];
    path_of(path, sizeof(path), "%s/proc/%d", tree->path, (int)pid);
    remove_all(path);
}

uint64_t tree_cgroup(const Tree *tree, const char *path) {
    char full[512];
    path_of(full, sizeof(full), "%s%s/", tree->cgroup, path);
    make_directories(full);
    struct stat st;
    check(stat(full, &st) == 0, full);
    return st.st_ino;
}
