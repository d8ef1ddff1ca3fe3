#include "notify/loader.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "notify/frame.h"

typedef const pw_plugin *(*Entry)(void);

int plugin_name_valid(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 32 && !name[n] && name[0] >= 'a' && name[0] <= 'z';
}

static int is_trusted(const struct stat *st) {
    return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int loader_directory(const char *path, int trusted_only, const char **ret_reason) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_reason = "the plugin directory cannot be opened";
        if (fd >= 0) close(fd);
        return -1;
    }
    if (trusted_only && !is_trusted(&st)) {
        *ret_reason = "the plugin directory must belong to root and be writable by nobody else";
        close(fd);
        return -1;
    }
    return fd;
}

static int key_name_valid(const char *name) {
    size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
    return n > 0 && n <= 32 && !name[n] && name[0] >= 'a' && name[0] <= 'z';
}

PluginHeartbeat plugin_heartbeat(const pw_plugin *plugin) {
    bool has = plugin->size >= offsetof(pw_plugin, heartbeat) + sizeof(plugin->heartbeat);
    return has ? plugin->heartbeat : NULL;
}

static const char *plugin_fault(const pw_plugin *plugin, const char *name) {
    if (!plugin) return "pw_plugin_v1 returns nothing";
    if (plugin->abi != PW_ABI) return "it is made for another version of portwatch's plugin interface";
    if (plugin->size < offsetof(pw_plugin, release) + sizeof(plugin->release)) return "its pw_plugin is too short";
    if (!plugin->name || strcmp(plugin->name, name) != 0) return "its name is not that of its file";
    if (!plugin->configure || !plugin->deliver || !plugin->release) return "a function is missing";
    if (plugin->n_keys > FRAME_KEYS_MAX || (plugin->n_keys > 0 && !plugin->keys)) return "it has too many keys";
    for (size_t i = 0; i < plugin->n_keys; i++) {
        if (!key_name_valid(plugin->keys[i].name)) return "a key's name is not [a-z][a-z0-9_]{0,31}";
        if (strcmp(plugin->keys[i].name, "heartbeat") == 0 && !plugin_heartbeat(plugin))
            return "it has a key heartbeat, and no heartbeat()";
    }
    return NULL;
}

const pw_plugin *loader_open(const char *name, int trusted_only, char **ret_reason) {
    struct stat st;
    char path[64];
    const char *fault = NULL;
    const pw_plugin *plugin = NULL;
    snprintf(path, sizeof(path), "./%s.so", name);
    if (stat(path, &st) < 0)
        fault = "there is no such plugin";
    else if (!S_ISREG(st.st_mode))
        fault = "is not a regular file";
    else if (trusted_only && !is_trusted(&st))
        fault = "must belong to root and be writable by nobody else";
    else {
        void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        Entry entry = NULL;
        if (!object)
            fault = dlerror();
        else
            *(void **)&entry = dlsym(object, "pw_plugin_v1");
        if (object && !entry) fault = "does not export pw_plugin_v1";
        if (entry) {
            plugin = entry();
            fault = plugin_fault(plugin, name);
        }
    }
    if (!fault) return plugin;
    *ret_reason = text_printf("plugin %s: %s", name, fault);
    return NULL;
}
