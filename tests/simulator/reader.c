#include "reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* A change is seen at the next look, at most an interval later; what is asked of systemd takes a moment. */
static int64_t looks(const Reader *reader) {
    return reader->world->rules->interval + USEC_PER_SEC / 2;
}

void reader_done(Reader *reader) {
    for (int i = 0; i < DELAY_MAX; i++) free(reader->delays[i].items);
    free(reader->script_delays.items);
}

const char *moment_text(int64_t t, char buffer[static MOMENT_MAX]) {
    int64_t s = t / USEC_PER_SEC;
    snprintf(buffer, MOMENT_MAX, "day %" PRId64 " %02d:%02d:%02d.%03d", s / 86400, (int)(s / 3600 % 24),
        (int)(s / 60 % 60), (int)(s % 60), (int)(t % USEC_PER_SEC / 1000));
    return buffer;
}

void reader_complain(Reader *reader, int64_t now, const char *format, ...) {
    char text[160], moment[MOMENT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    _cleanup_free_ char *harmless = text_escape(text, strlen(text));
    if (!harmless) abort();
    if (reader->loud) printf("%s: %s: %s\n", reader->world->name, moment_text(now, moment), harmless);
    if (!reader->first[0]) snprintf(reader->first, sizeof reader->first, "%s: %s", moment_text(now, moment), harmless);
}

static void add_delay(Delays *delays, int64_t delay) {
    if ((delays->n & (delays->n - 1)) == 0) {
        int64_t *longer = reallocarray(delays->items, delays->n ? delays->n * 2 : 1, sizeof *longer);
        if (!longer) abort();
        delays->items = longer;
    }
    delays->items[delays->n++] = delay;
}

static const char *face_name(const Port *port, unsigned face) {
    return face ? port->faces[face].owner->exe : "closed";
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static bool is_expected(const Port *port) {
    return face_class(port, port->face) == face_class(port, port->expected);
}

static DelayKind kind_of(const Port *port) {
    if (port->stretch.excused) return DELAY_EXCUSED;
    if (is_expected(port)) return port->flapping ? DELAY_STEADY : DELAY_RESOLVED;
    if (port->face == 0 && port->fate == FATE_FAILED) return DELAY_FAILED;
    if (port->flapping & 1u << face_class(port, port->face)) return DELAY_STEADY;
    if (port->face == 0) return port->fate == FATE_RETURNING ? DELAY_RETURNING : DELAY_CLOSED;
    return face_class(port, port->known) == 0 ? DELAY_OPENED : DELAY_CHANGED;
}

static int64_t bound_of(const Rules *rules, const Port *port, DelayKind kind) {
    if (kind == DELAY_EXCUSED) /* put off, by as much as its own kind has */
        return port->flapping ? rules->flapping.within / 2 : port->face == 0 ? ENGINE_RETURN_WAIT : rules->settle;
    if (kind == DELAY_STEADY) return is_expected(port) ? rules->flapping.within / 2 : ENGINE_RETURN_WAIT;
    if (kind == DELAY_CLOSED || kind == DELAY_FAILED)
        return kind == DELAY_FAILED ? rules->settle : rules->settle_closed;
    return kind == DELAY_RETURNING ? ENGINE_RETURN_WAIT : rules->settle;
}

/* When this stretch has to be told at the latest. */
static int64_t due(const Reader *reader, Port *port) {
    Stretch *s = &port->stretch;
    int64_t from = later(s->from, reader->observed_since), put_off = 0;
    if (port->flapping) from = later(from, port->flapping_since);
    if (reader->excused_until > from) from = reader->excused_until;
    /* Grace is for what was there before the boot. */
    if (port->known != 0) put_off = reader->graced_until;
    int64_t at = from + bound_of(reader->world->rules, port, kind_of(port));
    /* What became of its unit is asked anew three seconds later, at a look, and counts at the next. */
    if (port->face == 0) at = later(at, port->fate_since + SECONDS(3) + reader->world->rules->interval);
    if (later(reader->observed_since, reader->excused_until) > s->from || put_off > at) s->excused = true;
    return later(at, put_off) + looks(reader);
}

void reader_stretch_begins(Reader *reader, Port *port, int64_t now) {
    bool news = port->flapping || face_class(port, port->face) != face_class(port, port->known);
    port->stretch = (Stretch){.from = now, .news = news};
    port->turns[port->n_turns++ % TURNS_MAX] = now;
}

static void count_script(Reader *reader, const Stretch *s) {
    if (s->naive)
        add_delay(&reader->script_delays, s->naive - s->from);
    else
        reader->script_missed++;
    if (s->naive) reader->script_told++;
}

void reader_stretch_ends(Reader *reader, Port *port, int64_t now) {
    Stretch *s = &port->stretch;
    int64_t seen_from = later(later(s->from, reader->observed_since), reader->excused_until);
    bool as_known = face_class(port, port->face) == face_class(port, port->known);
    if (as_known && now - seen_from > reader->world->rules->interval) port->known_until = now;
    if (port->silent || !s->news) return;
    int64_t until = due(reader, port);
    if (!s->told && now <= until) return; /* too short */
    reader->must++;
    count_script(reader, s);
    if (s->told) {
        reader->told++;
        return;
    }
    reader->lost++;
    reader_complain(reader, now, "LOST: %s %u was \"%s\" for %.1f s, and the reader knows \"%s\"",
        protocol_name(port->protocol), port->number, face_name(port, port->face),
        (double)(now - s->from) / USEC_PER_SEC, face_name(port, port->known));
}

void reader_script_saw(Reader *reader, Port *port, int64_t now) {
    if (!port->stretch.naive) port->stretch.naive = now;
}

static bool same_rows(const Endpoints *a, const Endpoints *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const Endpoint *x = &a->items[i], *y = &b->items[i];
        if (endpoint_compare(x, y) != 0 || x->n_owners != 1 || !owner_same(x->owners[0], y->owners[0])) return false;
    }
    return true;
}

static void wrong(Reader *reader, const Event *event, int64_t now, const char *how) {
    char surface[SURFACE_TEXT_MAX];
    reader->wrong++;
    reader_complain(reader, now, "FALSE: %s %s %s: %s", event_type_name(event->type),
        surface_format(&event->surface, surface), change_name(event->change), how);
}

/* Has it come back so often, in so long? Between the first return and the last lie two turns for each of the others.
 * A return counts when it has settled. */
static bool has_flapped(const Rules *rules, const Port *port, int64_t now) {
    size_t turns = 2 * rules->flapping.returns - 1;
    if (port->n_turns < turns) return false;
    return port->turns[(port->n_turns - turns) % TURNS_MAX] >= now - rules->flapping.within - ENGINE_RETURN_WAIT;
}

/* What is wrong with this event; NULL: it is true. */
static const char *find_wrong(const Reader *reader, const Event *event, const Port *port, int64_t seen, int64_t now) {
    const Rules *rules = reader->world->rules;
    bool opens = event->type == EVENT_OPENED, tells = opens || event->type == EVENT_CHANGED;
    bool flapping = event->change == CHANGE_FLAPPING;
    if (port->silent) return "nothing about this port is to be told";
    if (opens == port->incident) return opens ? "its incident is open already" : "no incident is open";
    Endpoints rows;
    port_rows(port, &rows);
    bool same = same_rows(&event->after, &rows);
    endpoints_done(&rows);
    if (!same) return "this is not what stands there";
    if (tells && flapping) return has_flapped(rules, port, now) ? NULL : "it has not come and gone so often";
    if (event->type == EVENT_RESOLVED && event->ending == ENDING_RETURNED && !is_expected(port))
        return "it is not as expected";
    if (port->flapping || !tells) return NULL;
    if (face_class(port, port->face) == face_class(port, port->known)) return "the reader knew that";
    /* The event's date is whole looks. */
    return port->known_until > seen + rules->interval ? "it was as known since then" : NULL;
}

/* Counts how long this took. */
static void told(Reader *reader, Port *port, int64_t now) {
    Stretch *s = &port->stretch;
    int64_t until = due(reader, port);
    add_delay(&reader->delays[kind_of(port)], now - s->from);
    s->told = now;
    if (now <= until) return;
    reader->late++;
    reader_complain(reader, now, "LATE: %s %u \"%s\" told %.1f s after it began", protocol_name(port->protocol),
        port->number, face_name(port, port->face), (double)(now - s->from) / USEC_PER_SEC);
}

void reader_event(Reader *reader, const Event *event, int64_t seen, int64_t now) {
    if (!event->has_incident || event->incident.aspect != ASPECT_SURFACE) return;
    Port *port = world_find(reader->world, &event->surface);
    const char *how = port ? find_wrong(reader, event, port, seen, now) : "there is no such port";
    if (how) wrong(reader, event, now, how);
    if (!port || event->type == EVENT_REMINDER) return;
    bool accepted = event->ending == ENDING_ACCEPTED;
    unsigned classes = 1u << face_class(port, port->face);
    if (event->type != EVENT_RESOLVED && event->change == CHANGE_FLAPPING) {
        /* Where it is now has been told, and is told again when it stays. */
        classes |= 1u << face_class(port, port->known) | 1u << face_class(port, port->expected);
        port->flapping = classes;
        port->flapping_since = now;
        if (!port->stretch.told) port->stretch.news = true;
    } else {
        bool news = port->flapping || face_class(port, port->face) != face_class(port, port->known);
        if (port->stretch.news && !port->stretch.told && !accepted && news) told(reader, port, now);
        port->flapping = 0;
    }
    port->known = port->face;
    if (accepted) port->expected = port->face;
    port->incident = event->incident.state == INCIDENT_OPEN;
}
