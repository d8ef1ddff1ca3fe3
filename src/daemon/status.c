/* What `systemctl status` shows: one sentence for people. */
#include <string.h>
#include <systemd/sd-daemon.h>

#include "daemon/daemon.h"
#include "daemon/log.h"

#define INCIDENTS_MAX 3
/* systemd ignores the whole of a notification of more than 4096 bytes, READY=1 too. */
#define SENTENCE_MAX 1024u

static size_t count_ports(const Endpoints *endpoints) {
    size_t n = 0;
    for (size_t i = 0; i < endpoints->n; i++)
        if (i == 0 || strcmp(endpoints->items[i].namespace, endpoints->items[i - 1].namespace) != 0 ||
            endpoints->items[i].port != endpoints->items[i - 1].port ||
            endpoints->items[i].protocol != endpoints->items[i - 1].protocol)
            n++;
    return n;
}

static void print_incidents(FILE *out, const State *state) {
    if (state->n_incidents == 0) {
        fputs("no open incident", out);
        return;
    }
    fprintf(out, "%zu open incident%s", state->n_incidents, state->n_incidents == 1 ? "" : "s");
    for (size_t i = 0; i < state->n_incidents && i < INCIDENTS_MAX; i++) {
        const Incident *incident = &state->incidents[i];
        char surface[SURFACE_TEXT_MAX];
        fprintf(out, "%s%s %s", i == 0 ? " (" : ", ", incident->token, surface_format(&incident->surface, surface));
    }
    fputs(state->n_incidents > INCIDENTS_MAX ? ", ...)" : ")", out);
}

static const Incident *find_blind(const State *state) {
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SELF) return &state->incidents[i];
    return NULL;
}

static void print_status(FILE *out, const Daemon *d) {
    const Incident *blind = find_blind(&d->state);
    size_t ports = count_ports(&d->state.baseline);
    if (d->store_failing) {
        fputs("The database cannot be written: what there is to tell waits in memory", out);
        return;
    }
    if (blind)
        fprintf(out, "Blind, nothing is decided: the socket tables cannot be read (%s)", blind->token);
    else if (!d->state.learned)
        fputs("Learning what listens; nothing is told yet", out);
    else {
        fprintf(out, "Watching %zu port%s, ", ports, ports == 1 ? "" : "s");
        print_incidents(out, &d->state);
    }
    if (!rules_tell(d->rules)) fputs("; no notifier is configured", out);
    for (size_t i = 0; i < d->n_notifiers; i++)
        if (d->notifiers[i] && (d->notifiers[i]->failing || d->notifiers[i]->beats_fail))
            fprintf(out, "; notifier %s gets nothing through", d->notifiers[i]->rule->name);
    if (d->configuration_trouble) fprintf(out, "; %s", d->configuration_trouble);
}

static void notify(const Daemon *d, const char *before) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        print_status(out, d);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    if (text && size > SENTENCE_MAX) text[SENTENCE_MAX] = '\0';
    /* A line break would begin another assignment. */
    if (text) log_defuse(text);
    sd_notifyf(0, "%sSTATUS=%s", before, text ? text : "");
    free(text);
}

void daemon_status(const Daemon *d) {
    notify(d, "");
}

void daemon_ready(Daemon *d) {
    d->ready_due = false;
    notify(d, "READY=1\n");
}
