/* A /proc and a cgroup tree of a test, in a temporary directory. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "kernel/roots.h"

typedef struct Tree {
    char path[64], proc[80], cgroup[80];
    KernelRoots roots;
} Tree;

void tree_make(Tree *tree); /* with all capabilities and the initial pid namespace */
void tree_remove(Tree *tree);
void tree_write(const Tree *tree, const char *name, const char *text); /* name below tree->path */
void tree_process(const Tree *tree, pid_t pid, pid_t ppid, uint64_t started, const char *comm, const char *exe,
    uid_t uid, const char *cgroup);
void tree_link(const Tree *tree, const char *name, const char *target); /* replaces one */
void tree_socket(const Tree *tree, pid_t pid, int fd, uint32_t inode);
void tree_close(const Tree *tree, pid_t pid, int fd);
void tree_kill(const Tree *tree, pid_t pid);
/* Makes a cgroup and returns its id. */
uint64_t tree_cgroup(const Tree *tree, const char *path);
