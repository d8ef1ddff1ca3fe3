#include "script.h"

#include <string.h>

static bool has_address(const Face *face, const char *address) {
    for (size_t i = 0; i < FACE_ADDRESSES_MAX && face->addresses[i]; i++)
        if (strcmp(face->addresses[i], address) == 0) return true;
    return false;
}

/* Lines of `a` that are not in `b`. */
static size_t lines_missing(const Face *a, const Face *b) {
    size_t n = 0;
    for (size_t i = 0; i < FACE_ADDRESSES_MAX && a->addresses[i]; i++) n += !has_address(b, a->addresses[i]);
    return n;
}

void script_run(Script *script, Reader *reader, int64_t now) {
    static const Face nothing;
    size_t lines = 0;
    for (size_t i = 0; i < script->world->n_ports; i++) {
        Port *p = &script->world->ports[i];
        if (!p->script_dirty) continue;
        const Face *was = &p->faces[p->script_face], *is = &p->faces[p->face];
        size_t n;
        if (p->number != p->script_number)
            n = lines_missing(was, &nothing) + lines_missing(is, &nothing);
        else
            n = lines_missing(was, is) + lines_missing(is, was);
        if (n > 0) reader_script_saw(reader, p, now);
        lines += n;
        p->script_face = p->face;
        p->script_number = p->number;
        p->script_dirty = false;
    }
    if (lines == 0) return;
    script->lines += lines;
    script->mails++;
    script->per_day[now / DAYS(1) % 400]++;
}
