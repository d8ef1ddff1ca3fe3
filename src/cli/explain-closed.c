/* Judges a port to which nothing is bound. */
#include <errno.h>
#include <string.h>

#include "cli/explain-words.h"
#include "notify/phrase.h"

/* By what systemd says of the unit. */
static char *next_for_unit(const Case *c) {
    static const struct {
        const char *state, *command, *arguments;
    } commands[] = {
        {"failed", "sudo systemctl restart", ""},
        {"inactive", "sudo systemctl start", ""},
        {"active", "sudo journalctl -n 50 -u", ""},
        {"activating", "sudo journalctl -f -u", ""},
        {"deactivating", "sudo journalctl -f -u", ""},
        {"reloading", "sudo journalctl -f -u", ""},
    };
    const char *state = phrase_string(c->cause, "state");
    /* Our own words: no unit has a space in its name. */
    if (strstr(phrase_string(c->cause, "summary"), " masked")) return next_unit("sudo systemctl unmask", c->before, "");
    for (size_t i = 0; i < ELEMENTSOF(commands); i++)
        if (strcmp(state, commands[i].state) == 0)
            return next_unit(commands[i].command, c->before, commands[i].arguments);
    return next_unit("systemctl status", c->before, "");
}

static char *next_closed(const Case *c) {
    if (c->moved) return next_portwatch("portwatch explain", c, c->moved->port);
    char *next = next_for_unit(c);
    if (next) return next;
    if (c->n_elsewhere > 0)
        return text_printf("sudo nsenter -t %d -n ss -%clnp 'sport = :%u'", c->elsewhere[0].pid,
            c->protocol == PROTOCOL_TCP ? 't' : 'u', c->port);
    if (c->before && strcmp(phrase_string(c->cause, "process"), "alive") == 0)
        return text_printf("ps -fp %d", c->before->pid);
    if (c->before || c->expected.n > 0) return next_portwatch("portwatch history", c, c->port);
    /* root sees what is expected, and who held it */
    if (!c->known && !c->root) return next_portwatch("sudo portwatch explain", c, c->port);
    return strdup("systemctl list-units --failed");
}

static char *text_closed(const Case *c) {
    const char *summary = phrase_string(c->cause, "summary");
    if (*summary) return text_printf("closed: %s", summary);
    if (c->before) {
        _cleanup_free_ char *owner = words_owner(c->before);
        bool gone = strcmp(phrase_string(c->cause, "process"), "gone") == 0;
        bool alive = strcmp(phrase_string(c->cause, "process"), "alive") == 0;
        if (!owner) return NULL;
        return text_printf("closed: nothing is bound to it; until now %s%s", owner,
            gone    ? ", whose process is gone"
            : alive ? ", whose process is alive"
                    : "");
    }
    if (c->rule && c->rule->expect == EXPECT_OPEN) {
        _cleanup_free_ char *place = words_place(&c->rule->expect_place);
        return place ? text_printf("closed: nothing is bound to it, and %s states that it is open", place) : NULL;
    }
    return text_printf("closed: nothing is bound to it%s",
        c->known && c->expected.n == 0 && !c->incident ? ", and nothing is expected there" : "");
}

static int judge_elsewhere(Case *c) {
    int r = 0;
    for (size_t i = 0; i < c->n_elsewhere && r >= 0; i++) {
        const Elsewhere *found = &c->elsewhere[i];
        char address[INET6_ADDRSTRLEN];
        _cleanup_free_ char *comm = text_escape(found->comm, strlen(found->comm));
        _cleanup_free_ char *netns =
            text_escape(found->netns ? found->netns : "", found->netns ? strlen(found->netns) : 0);
        if (!comm || !netns) return -ENOMEM;
        r = finding_add(c, "namespace", WEIGHT_NOTE,
            text_printf("it is bound on %s in another network namespace%s%s, that of pid %d (%s)",
                address_format(&found->address, address), *netns ? " " : "", netns, found->pid, comm),
            NULL);
    }
    if (r >= 0 && c->unseen > 0 && c->n_elsewhere == 0)
        r = finding_add(c, "namespace-unseen", WEIGHT_NOTE,
            text_printf("whether it is bound in another network namespace cannot be seen (%u process%s not ours)",
                c->unseen, c->unseen == 1 ? "" : "es"),
            NULL);
    return r;
}

static int judge_moved(Case *c) {
    if (!c->moved) return 0;
    _cleanup_free_ char *owner = words_owner(c->before);
    return finding_add(c, "moved", WEIGHT_NOTE,
        owner ? text_printf("%s listens on %u/%s, where nothing is expected", owner, c->moved->port,
                    protocol_name(c->moved->protocol))
              : NULL,
        NULL);
}

/* A published port of a container, as a rule: it needs no socket of the host's. */
static const Quote *forwarding(const Case *c) {
    bool expected = c->before || c->expected.n > 0 || (c->rule && c->rule->expect == EXPECT_OPEN);
    for (size_t i = 0; i < c->quotes.n && !expected; i++)
        if (c->quotes.items[i].forwards) return &c->quotes.items[i];
    return NULL;
}

int explain_judge_closed(const Explanation *e, Case *c) {
    if (!c->decided)
        return finding_add(c, "incomplete", WEIGHT_UNKNOWN,
            text_printf("whether anything is bound to it cannot be told: %s",
                c->trouble ? c->trouble : "the kernel's table could not be read"),
            next_ss(c));
    if (c->rule && c->rule->expect == EXPECT_CLOSED) {
        _cleanup_free_ char *place = words_place(&c->rule->expect_place);
        return finding_add(c, "closed", WEIGHT_WELL, place ? text_printf("closed, as %s states", place) : NULL,
            next_portwatch("portwatch history", c, c->port));
    }
    const Quote *forward = forwarding(c);
    int r = forward ? finding_add(c, "forwarded", WEIGHT_UNKNOWN,
                          text_printf("nothing here is bound to it, but the firewall sends it on: %s", forward->text),
                          next_from_elsewhere(e, c))
                    : finding_add(c, "closed", WEIGHT_FAULT, text_closed(c), next_closed(c));
    if (r >= 0) r = judge_moved(c);
    if (r >= 0) r = judge_elsewhere(c);
    if (r >= 0 && !e->host.has4 && !e->host.has6 && !e->host.unread)
        r = finding_add(c, "host", WEIGHT_NOTE, strdup("this host has no address that is up but loopback"), NULL);
    return r;
}
