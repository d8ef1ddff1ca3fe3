#include "kernel/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/json.h"

#define FILE_MAX_BYTES (4u << 20)
#define TEXT_MAX 256

/* A whole regular file of that path in pieces, or NULL. */
static char *read_file(const char *files, const char *start, const char *id, const char *end, size_t *ret_length) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s%s%s%s", files, start, id, end);
    if (n < 0 || (size_t)n >= sizeof(path)) return NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > FILE_MAX_BYTES)
        return NULL;
    _cleanup_free_ char *bytes = malloc((size_t)st.st_size);
    if (!bytes) return NULL;
    size_t length = 0;
    while (length < (size_t)st.st_size) {
        ssize_t r = read(fd, bytes + length, (size_t)st.st_size - length);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) break;
        length += (size_t)r;
    }
    *ret_length = length;
    return TAKE_PTR(bytes);
}

/* config.v2.json: {"Name": "/web", ...} */
static bool docker_name(const char *files, const char *id, char *text) {
    size_t length;
    _cleanup_free_ char *bytes = read_file(files, "/var/lib/docker/containers/", id, "/config.v2.json", &length);
    Json name;
    if (!bytes || !json_member((Json){bytes, bytes + length}, "Name", &name)) return false;
    if (!json_text(name, text, TEXT_MAX)) return false;
    if (text[0] == '/') memmove(text, text + 1, strlen(text));
    return true;
}

/* containers.json: [{"id": "...", "names": ["web"], ...}, ...] */
static bool podman_name(const char *files, const char *id, char *text) {
    static const char *const stores[] = {
        "/var/lib/containers/storage/overlay-containers/containers.json",
        "/var/lib/containers/storage/vfs-containers/containers.json",
        "/var/lib/containers/storage/btrfs-containers/containers.json",
    };
    for (size_t i = 0; i < ELEMENTSOF(stores); i++) {
        size_t length;
        _cleanup_free_ char *bytes = read_file(files, stores[i], "", "", &length);
        if (!bytes) continue;
        Json rest = {bytes, bytes + length}, one, value, name;
        while (json_element(&rest, &one)) {
            if (!json_member(one, "id", &value) || !json_text(value, text, TEXT_MAX) || strcmp(text, id) != 0) continue;
            return json_member(one, "names", &value) && json_element(&value, &name) && json_text(name, text, TEXT_MAX);
        }
    }
    return false;
}

/* Where a runtime keeps the OCI configuration of a container, whose annotations say what it was made for. */
typedef struct Runtime {
    const char *start, *end;   /* of the path, about the id */
    const char *outer, *inner; /* annotations: namespace or NULL, name */
} Runtime;

static bool annotated_name(const char *files, const Runtime *runtime, const char *id, char *text) {
    const char *outer = runtime->outer, *inner = runtime->inner;
    size_t length;
    _cleanup_free_ char *bytes = read_file(files, runtime->start, id, runtime->end, &length);
    Json annotations, value;
    if (!bytes || !json_member((Json){bytes, bytes + length}, "annotations", &annotations)) return false;
    size_t n = 0;
    if (outer) {
        if (!json_member(annotations, outer, &value) || !json_text(value, text, TEXT_MAX)) return false;
        n = strlen(text);
        if (n + 1 >= TEXT_MAX) return false;
        text[n++] = '/';
    }
    return json_member(annotations, inner, &value) && json_text(value, text + n, TEXT_MAX - n);
}

static bool kubernetes_name(const char *files, const char *id, char *text) {
    static const Runtime runtimes[] = {
        {"/run/containerd/io.containerd.runtime.v2.task/k8s.io/", "/config.json", "io.kubernetes.cri.sandbox-namespace",
            "io.kubernetes.cri.container-name"},
        {"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/", "/config.json",
            "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.container-name"},
        {"/run/containers/storage/overlay-containers/", "/userdata/config.json", "io.kubernetes.pod.namespace",
            "io.kubernetes.container.name"},
    };
    for (size_t i = 0; i < ELEMENTSOF(runtimes); i++)
        if (annotated_name(files, &runtimes[i], id, text)) return true;
    return false;
}

static bool containerd_name(const char *files, const char *id, char *text) {
    static const Runtime runtime = {
        "/run/containerd/io.containerd.runtime.v2.task/default/", "/config.json", NULL, "nerdctl/name"};
    return annotated_name(files, &runtime, id, text);
}

static bool find_name(const char *files, const Place *place, char *text) {
    const char *id = place->id;
    if (!files || !id || place->user_unit || strchr(id, '/')) return false;
    switch (place->container) {
    case CONTAINER_DOCKER:
        return docker_name(files, id, text);
    case CONTAINER_PODMAN:
        return podman_name(files, id, text);
    case CONTAINER_KUBERNETES:
        return kubernetes_name(files, id, text);
    case CONTAINER_CONTAINERD:
        return containerd_name(files, id, text);
    default:
        return false;
    }
}

int container_name(const char *files, const Place *place, char **ret) {
    char text[TEXT_MAX];
    const char *name = place->name;
    if (!name && find_name(files, place, text) && container_name_is_safe(text)) name = text;
    char *copy = name ? strdup(name) : NULL;
    if (name && !copy) return -ENOMEM;
    *ret = copy;
    return 0;
}
