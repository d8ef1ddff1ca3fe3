#include "core/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const char *const protocol_names[PROTOCOL_MAX] = {"tcp", "udp", "udplite"};

const char *protocol_name(Protocol protocol) {
    return protocol_names[protocol];
}

bool protocol_parse(const char *text, Protocol *ret) {
    for (Protocol p = 0; p < PROTOCOL_MAX; p++)
        if (strcmp(text, protocol_names[p]) == 0) {
            *ret = p;
            return true;
        }
    return false;
}

bool address_parse(const char *text, Address *ret) {
    Address address = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
    if (inet_pton(address.family, text, address.bytes) != 1) return false;
    *ret = address;
    return true;
}

char *address_format(const Address *address, char buffer[static INET6_ADDRSTRLEN]) {
    if (!inet_ntop(address->family, address->bytes, buffer, INET6_ADDRSTRLEN)) strcpy(buffer, "?");
    return buffer;
}

int address_compare(const Address *a, const Address *b) {
    if (a->family != b->family) return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool address_is_any(const Address *address) {
    static const uint8_t zero[16];
    return memcmp(address->bytes, zero, sizeof zero) == 0;
}

bool address_is_loopback(const Address *address) {
    static const uint8_t one[16] = {[15] = 1}, mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    if (address->family == AF_INET) return address->bytes[0] == 127;
    return memcmp(address->bytes, one, sizeof one) == 0 || memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

bool address_is_link_local(const Address *address) {
    if (address->family == AF_INET) return address->bytes[0] == 169 && address->bytes[1] == 254;
    return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

Address address_plain(const Address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (address->family != AF_INET6 || memcmp(address->bytes, mapped, sizeof mapped) != 0) return *address;
    Address v4 = {.family = AF_INET};
    memcpy(v4.bytes, address->bytes + sizeof mapped, 4);
    return v4;
}

Owner *owner_new(void) {
    Owner *owner = calloc(1, sizeof *owner);
    if (owner) {
        owner->references = 1;
        owner->uid = UID_UNKNOWN;
    }
    return owner;
}

Owner *owner_ref(Owner *owner) {
    owner->references++;
    return owner;
}

Owner *owner_unref(Owner *owner) {
    if (!owner || --owner->references > 0) return NULL;
    free(owner->unit);
    free(owner->exe);
    free(owner->user);
    free(owner->unit_shown);
    free(owner->slice);
    free(owner->invocation);
    free(owner->container);
    free(owner->container_id);
    free(owner->package);
    free(owner->exe_shown);
    free(owner->comm);
    free(owner->cmdline);
    free(owner);
    return NULL;
}

static bool text_differs(const char *a, const char *b) {
    return a && b && strcmp(a, b) != 0;
}

/* Is `unit` a container whose name is not known, and `other` one of that kind? Kinds are two words, units one. */
static bool is_nameless(const char *unit, const char *other) {
    size_t n = strlen(unit);
    return strchr(unit, ' ') && strncmp(unit, other, n) == 0 && other[n] == ' ';
}

bool owner_unit_is(const char *wanted, const char *found) {
    return found && (strcmp(wanted, found) == 0 || is_nameless(wanted, found));
}

bool owner_unit_is_container(const char *text) {
    static const char *const nouns[] = {"container", "machine"};
    size_t kind = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (kind == 0 || text[kind] != ' ') return false;
    for (size_t i = 0; i < ELEMENTSOF(nouns); i++) {
        const char *noun = text + kind + 1;
        size_t n = strlen(nouns[i]);
        if (strncmp(noun, nouns[i], n) != 0) continue;
        return noun[n] == '\0' || (noun[n] == ' ' && noun[n + 1] && !strchr(noun + n + 1, ' '));
    }
    return false;
}

static bool unit_differs(const char *a, const char *b) {
    return text_differs(a, b) && !is_nameless(a, b) && !is_nameless(b, a);
}

bool owner_same(const Owner *a, const Owner *b) {
    if (a->uid != UID_UNKNOWN && b->uid != UID_UNKNOWN && a->uid != b->uid) return false;
    return !text_differs(a->exe, b->exe) && !unit_differs(a->unit, b->unit);
}

static int text_compare(const char *a, const char *b) {
    if (!a || !b) return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

int owner_compare(const Owner *a, const Owner *b) {
    int r = text_compare(a->exe, b->exe);
    if (r == 0) r = text_compare(a->unit, b->unit);
    if (r == 0 && a->uid != b->uid) {
        if (a->uid == UID_UNKNOWN || b->uid == UID_UNKNOWN) return a->uid == UID_UNKNOWN ? -1 : 1;
        return a->uid < b->uid ? -1 : 1;
    }
    return r;
}

bool owner_file_differs(const Owner *a, const Owner *b) {
    if (a->exe_inode == 0 || b->exe_inode == 0 || text_compare(a->exe_shown, b->exe_shown) != 0) return false;
    return a->exe_inode != b->exe_inode || a->exe_changed != b->exe_changed;
}

bool owner_outdated(const Owner *owner) {
    return owner->exe_deleted || owner->exe_replaced;
}

bool owner_knows_more(const Owner *a, const Owner *b) {
    bool unit = b->unit && (!a->unit || is_nameless(a->unit, b->unit));
    return (!a->exe && b->exe) || unit || (a->uid == UID_UNKNOWN && b->uid != UID_UNKNOWN);
}

static size_t skip(const char *text, size_t n, size_t from, const char *accepted) {
    while (from < n && strchr(accepted, text[from])) from++;
    return from;
}

/* The middle of run-u123, run-r<hex>, run-<pid>, run-p<pid>-i<n>: machine-made; "run-backup" is somebody's own name. */
static bool is_run_id(const char *id, size_t n) {
    static const char digits[] = "0123456789", hex[] = "0123456789abcdef";
    if (n > 1 && *id == 'u') return skip(id, n, 1, digits) == n;
    if (n > 16 && *id == 'r') return skip(id, n, 1, hex) == n;
    if (n > 4 && *id == 'p') {
        size_t i = skip(id, n, 1, digits);
        return i + 2 < n && id[i] == '-' && id[i + 1] == 'i' && skip(id, n, i + 2, digits) == n;
    }
    return skip(id, n, 0, digits) == n;
}

static bool is_session_id(const char *id, size_t n) {
    return skip(id, n, n > 1 && *id == 'c', "0123456789") == n;
}

char *owner_unit_kind(const char *unit) {
    static const struct {
        const char *prefix, *suffix, *kind;
        bool (*is_id)(const char *, size_t);
    } transient[] = {
        {"session-", ".scope", "session.scope", is_session_id},
        {"run-", ".service", "run.service", is_run_id},
        {"run-", ".scope", "run.scope", is_run_id},
    };
    size_t length = strlen(unit);
    for (size_t i = 0; i < ELEMENTSOF(transient); i++) {
        size_t p = strlen(transient[i].prefix), s = strlen(transient[i].suffix);
        if (length > p + s && strncmp(unit, transient[i].prefix, p) == 0 &&
            strcmp(unit + length - s, transient[i].suffix) == 0 && transient[i].is_id(unit + p, length - p - s))
            return strdup(transient[i].kind);
    }
    return strdup(unit);
}

bool endpoint_is_dual(const Endpoint *endpoint) {
    return endpoint->address.family == AF_INET6 && !endpoint->v6only && address_is_any(&endpoint->address);
}

void namespace_name(const char *kind, const char *name, size_t length, char ret[static NAMESPACE_MAX]) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    int n = snprintf(ret, NAMESPACE_MAX, "%s:%.*s", kind, (int)(length < NAMESPACE_MAX ? length : NAMESPACE_MAX), name);
    if (n < NAMESPACE_MAX) return;
    static const char tail[] = "~01234567";
    snprintf(ret + NAMESPACE_MAX - sizeof tail, sizeof tail, "~%08x", hash);
}

int endpoint_compare(const Endpoint *a, const Endpoint *b) {
    int in = strcmp(a->namespace, b->namespace);
    if (in) return in;
    if (a->protocol != b->protocol) return a->protocol < b->protocol ? -1 : 1;
    if (a->port != b->port) return a->port < b->port ? -1 : 1;
    int r = address_compare(&a->address, &b->address);
    return r ? r : strcmp(a->device, b->device);
}

int endpoint_add_owner(Endpoint *endpoint, Owner *owner) {
    size_t at = 0;
    for (; at < endpoint->n_owners; at++) {
        int r = owner_compare(endpoint->owners[at], owner);
        if (r == 0) return 0;
        if (r > 0) break;
    }
    Owner **longer = realloc(endpoint->owners, (endpoint->n_owners + 1) * sizeof *longer);
    if (!longer) return -ENOMEM;
    memmove(longer + at + 1, longer + at, (endpoint->n_owners - at) * sizeof *longer);
    longer[at] = owner_ref(owner);
    endpoint->owners = longer;
    endpoint->n_owners++;
    return 0;
}

int endpoint_copy(const Endpoint *endpoint, Endpoint *ret) {
    Endpoint copy = *endpoint;
    copy.owners = NULL;
    if (endpoint->n_owners > 0) {
        copy.owners = malloc(endpoint->n_owners * sizeof *copy.owners);
        if (!copy.owners) return -ENOMEM;
        for (size_t i = 0; i < endpoint->n_owners; i++) copy.owners[i] = owner_ref(endpoint->owners[i]);
    }
    *ret = copy;
    return 0;
}

void endpoint_done(Endpoint *endpoint) {
    for (size_t i = 0; i < endpoint->n_owners; i++) owner_unref(endpoint->owners[i]);
    free(endpoint->owners);
    memset(endpoint, 0, sizeof *endpoint);
}

int endpoints_take(Endpoints *list, Endpoint *endpoint) {
    if (list->n == list->allocated) {
        size_t more = list->allocated ? list->allocated * 2 : 8;
        Endpoint *longer = reallocarray(list->items, more, sizeof *longer);
        if (!longer) return -ENOMEM;
        list->items = longer;
        list->allocated = more;
    }
    list->items[list->n++] = *endpoint;
    memset(endpoint, 0, sizeof *endpoint);
    return 0;
}

int endpoints_add(Endpoints *list, const Endpoint *endpoint) {
    Endpoint copy = {0};
    int r = endpoint_copy(endpoint, &copy);
    if (r >= 0) r = endpoints_take(list, &copy);
    endpoint_done(&copy);
    return r;
}

int endpoints_copy(const Endpoints *list, Endpoints *ret) {
    Endpoints copy = {0};
    for (size_t i = 0; i < list->n; i++)
        if (endpoints_add(&copy, &list->items[i]) < 0) {
            endpoints_done(&copy);
            return -ENOMEM;
        }
    *ret = copy;
    return 0;
}

static int compare_items(const void *a, const void *b) {
    return endpoint_compare(a, b);
}

int endpoints_sort(Endpoints *list) {
    if (list->n > 1) qsort(list->items, list->n, sizeof *list->items, compare_items);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        Endpoint *one = &list->items[i], *last = kept ? &list->items[kept - 1] : NULL;
        if (!last || endpoint_compare(last, one) != 0) {
            if (kept != i) list->items[kept] = *one;
            kept++;
            continue;
        }
        last->count += one->count;
        last->v6only = last->v6only && one->v6only;
        last->owner_pending = last->owner_pending || one->owner_pending;
        for (size_t o = 0; o < one->n_owners; o++) {
            int r = endpoint_add_owner(last, one->owners[o]);
            if (r < 0) {
                /* What is left stays a valid, if unfolded, list. */
                memmove(&list->items[kept], one, (list->n - i) * sizeof *one);
                list->n = kept + list->n - i;
                return r;
            }
        }
        endpoint_done(one);
    }
    list->n = kept;
    return 0;
}

const Endpoint *endpoints_find(const Endpoints *list, const Endpoint *key) {
    return list->n ? bsearch(key, list->items, list->n, sizeof *list->items, compare_items) : NULL;
}

size_t endpoints_lower_bound(const Endpoints *list, const Endpoint *key) {
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (endpoint_compare(&list->items[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void endpoints_done(Endpoints *list) {
    for (size_t i = 0; i < list->n; i++) endpoint_done(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}
