#include "notify/phrase.h"

#include <string.h>

#include "core/difference.h"

/* Names are cut here: a subject must stay readable whatever an executable is called. */
#define NAME_MAX_COLUMNS 96
#define OWNERS_MAX 3
#define ADDRESSES_MAX 3

const json_t *phrase_data(const json_t *document) {
    return json_object_get(document, "data");
}

const char *phrase_string(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *phrase_type(const json_t *document) {
    const char *type = phrase_string(document, "type"), *dot = strrchr(type, '.');
    return dot ? dot + 1 : type;
}

static const char *namespace_of(const json_t *object) {
    const char *namespace = phrase_string(object, "namespace");
    return strcmp(namespace, "host") == 0 ? "" : namespace;
}

bool phrase_is_whole(const json_t *document) {
    const json_t *data = phrase_data(document);
    return *namespace_of(data) && !json_is_string(json_object_get(data, "protocol"));
}

bool phrase_is_port(const json_t *document) {
    return json_is_string(json_object_get(phrase_data(document), "protocol")) || phrase_is_whole(document);
}

void phrase_namespace(FILE *out, const char *namespace) {
    const char *name;
    fprintf(out, "%s ", namespace_words(namespace, &name));
    phrase_name(out, name);
}

void phrase_in(FILE *out, const json_t *object) {
    const char *namespace = namespace_of(object);
    if (!*namespace) return;
    fputs(" in ", out);
    phrase_namespace(out, namespace);
}

void phrase_name(FILE *out, const char *name) {
    bool quote = strpbrk(name, " \"'(),;:") != NULL;
    size_t columns = 0;
    if (quote) fputc('"', out);
    for (const char *p = name; *p; p++) {
        if (((unsigned char)*p & 0xC0) != 0x80 && ++columns > NAME_MAX_COLUMNS) {
            fputs("...", out);
            break;
        }
        if (*p == '"') fputc('\\', out);
        fputc(*p, out);
    }
    if (quote) fputc('"', out);
}

/* Directories into which only root installs: there a base name says enough. */
static bool is_system_path(const char *path) {
    static const char *const directories[] = {"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"};
    if (strncmp(path, "/usr/local/", 11) == 0) return false;
    for (size_t i = 0; i < ELEMENTSOF(directories); i++)
        if (strncmp(path, directories[i], strlen(directories[i])) == 0) return true;
    return false;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

void phrase_owner(FILE *out, const json_t *owner, PhraseDetail detail) {
    const char *exe = phrase_string(owner, "exe"), *shown = phrase_string(owner, "exe_shown");
    const char *unit = phrase_string(owner, "unit"), *user = phrase_string(owner, "user");
    const char *comm = phrase_string(owner, "comm");
    const json_t *uid = json_object_get(owner, "uid");
    if (!*exe && !*comm && !*user && !*unit && !json_is_integer(uid)) {
        fputs("unknown owner", out);
        return;
    }
    const char *path = *shown ? shown : exe, *name = "";
    if (strcmp(exe, "[kernel]") == 0) {
        fputs("the kernel", out);
        return;
    }
    if (*path) {
        name = detail >= PHRASE_PATH || !is_system_path(path) ? path : base_name(path);
        phrase_name(out, name);
    } else if (*comm) {
        fputs("process ", out);
        phrase_name(out, comm);
    } else
        fputs("unknown program", out);
    /* PID 1 alone is nobody: what it holds the socket for is. */
    if (!*shown && detail < PHRASE_UNIT && ends_with(unit, ".socket")) {
        fputs(" for ", out);
        phrase_name(out, unit);
    }
    if (*user) {
        if (strcmp(user, name) != 0) {
            fputs(" (user ", out);
            phrase_name(out, user);
            fputc(')', out);
        }
    } else if (json_is_integer(uid))
        fprintf(out, " (uid %lld)", (long long)json_integer_value(uid));
    else
        fputs(" (user unknown)", out);
    if (detail >= PHRASE_UNIT) {
        if (*unit) {
            fputs(" of ", out);
            phrase_name(out, unit);
        } else
            fputs(" of no known unit", out);
    }
}

json_t *phrase_endpoint_owners(const json_t *endpoint) {
    json_t *owners = json_object_get(endpoint, "owners"), *owner = json_object_get(endpoint, "owner");
    if (json_is_array(owners)) return json_incref(owners);
    json_t *array = json_array();
    if (array && json_is_object(owner) && json_array_append(array, owner) < 0) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static char *owner_text(const json_t *owner, PhraseDetail detail) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    phrase_owner(out, owner, detail);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

void phrase_owners(FILE *out, const json_t *endpoints, PhraseDetail detail) {
    char *texts[OWNERS_MAX] = {0};
    size_t n = 0, more = 0;
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        json_t *owners = phrase_endpoint_owners(json_array_get(endpoints, i));
        size_t n_owners = json_array_size(owners);
        for (size_t k = 0; k < (n_owners ? n_owners : 1); k++) {
            char *text = owner_text(json_array_get(owners, k), detail);
            size_t same = 0;
            while (text && same < n && strcmp(texts[same], text) != 0) same++;
            if (text && same == n && n < OWNERS_MAX)
                texts[n++] = TAKE_PTR(text);
            else if (text && same == n)
                more++;
            free(text);
        }
        json_decref(owners);
    }
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : i + 1 == n && !more ? " and " : ", ", texts[i]);
        free(texts[i]);
    }
    if (more) fputs(" and others", out);
}

static char *owners_text(const json_t *endpoints, PhraseDetail detail) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    phrase_owners(out, endpoints, detail);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

PhraseDetail phrase_detail(const json_t *before, const json_t *after, bool *ret_same) {
    if (ret_same) *ret_same = true;
    if (!phrase_has_owner(before) || !phrase_has_owner(after)) return PHRASE_NAME;
    if (ret_same) *ret_same = false;
    for (PhraseDetail detail = PHRASE_NAME; detail <= PHRASE_UNIT; detail++) {
        _cleanup_free_ char *a = owners_text(before, detail), *b = owners_text(after, detail);
        if (!a || !b || strcmp(a, b) != 0) return detail;
    }
    if (ret_same) *ret_same = true;
    return PHRASE_NAME;
}

bool phrase_has_owner(const json_t *endpoints) {
    for (size_t i = 0; i < json_array_size(endpoints); i++)
        if (json_is_object(json_object_get(json_array_get(endpoints, i), "owner"))) return true;
    return false;
}

bool phrase_is_stated(const json_t *endpoints) {
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        if (json_is_object(json_object_get(endpoint, "owner")) || json_object_get(endpoint, "since")) return false;
    }
    return json_array_size(endpoints) > 0;
}

bool phrase_is_outdated(const json_t *endpoints) {
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        json_t *owners = phrase_endpoint_owners(json_array_get(endpoints, i));
        bool outdated = false;
        for (size_t k = 0; k < json_array_size(owners); k++) {
            const json_t *owner = json_array_get(owners, k);
            outdated = outdated || json_is_true(json_object_get(owner, "exe_deleted")) ||
                       json_is_true(json_object_get(owner, "exe_replaced"));
        }
        json_decref(owners);
        if (outdated) return true;
    }
    return false;
}

bool phrase_is_local(const json_t *endpoint) {
    const char *address = phrase_string(endpoint, "address");
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strncmp(address, "::ffff:127.", 11) == 0;
}

void phrase_addresses(FILE *out, const json_t *endpoints, bool lengthy) {
    bool all4 = false, all6 = false, loopback = false;
    size_t n = json_array_size(endpoints);
    for (size_t i = 0; i < n; i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        const char *address = phrase_string(endpoint, "address");
        if (phrase_is_local(endpoint)) loopback = true;
        if (*phrase_string(endpoint, "device")) continue;
        bool any6 = strcmp(address, "::") == 0;
        if (any6) all6 = true;
        if (strcmp(address, "0.0.0.0") == 0 || (any6 && !json_is_true(json_object_get(endpoint, "v6only"))))
            all4 = true;
    }
    size_t said = 0, more = 0;
    const char *said_texts[ADDRESSES_MAX][2];
    if (all4 && all6) {
        fputs(lengthy ? "all IPv4 and IPv6 addresses" : "all addresses", out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        const char *address = phrase_string(endpoint, "address"), *device = phrase_string(endpoint, "device");
        bool v6 = strchr(address, ':') != NULL;
        if (phrase_is_local(endpoint) || (!*device && (v6 ? all6 : all4))) continue;
        size_t same = 0;
        while (same < said && (strcmp(said_texts[same][0], address) != 0 || strcmp(said_texts[same][1], device) != 0))
            same++;
        if (same < said) continue;
        if (said == ADDRESSES_MAX) {
            more++;
            continue;
        }
        said_texts[said][0] = address;
        said_texts[said++][1] = device;
    }
    bool first = true;
    if (all4 || all6) {
        fprintf(out, "all IPv%d addresses", all4 ? 4 : 6);
        first = false;
    }
    for (size_t i = 0; i < said; i++) {
        const char *address = said_texts[i][0], *device = said_texts[i][1];
        bool last = i + 1 == said && !more && !(loopback && !all4 && !all6);
        if (!first) fputs(last ? " and " : ", ", out);
        first = false;
        bool any = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
        if (any)
            fprintf(out, "device %s", device);
        else
            fprintf(out, "%s%s%s", address, *device ? " on device " : "", device);
    }
    if (more) fprintf(out, " and %zu more", more);
    if (first)
        fputs(loopback ? "this host only" : "no address", out);
    else if (loopback && !all4 && !all6)
        fputs(" and this host", out);
}

size_t phrase_omitted(const json_t *data, const char *side) {
    json_int_t n = json_integer_value(json_object_get(json_object_get(data, "omitted"), side));
    return n > 0 ? (size_t)n : 0;
}

size_t phrase_count_ports(const json_t *endpoints) {
    size_t count = 0;
    const char *protocol = "", *namespace = "";
    json_int_t port = -1;
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        json_int_t its = json_integer_value(json_object_get(endpoint, "port"));
        if (its != port || strcmp(protocol, phrase_string(endpoint, "protocol")) != 0 ||
            strcmp(namespace, phrase_string(endpoint, "namespace")) != 0)
            count++;
        port = its;
        namespace = phrase_string(endpoint, "namespace");
        protocol = phrase_string(endpoint, "protocol");
    }
    return count;
}
