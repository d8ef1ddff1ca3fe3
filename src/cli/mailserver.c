/* Is there somebody to take the mail? A notifier whose server is this host, where nothing listens, says nothing wrong
 * in its configuration and yet will never deliver. */
#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "kernel/sockets.h"

#define DEFAULT_SERVER "smtp://localhost:25"

typedef struct Server {
    char host[256];
    uint16_t port;
} Server;

static bool server_parse(const char *text, Server *ret) {
    Server server = {.port = 25};
    if (strncmp(text, "smtp://", 7) == 0)
        text += 7;
    else if (strncmp(text, "smtps://", 8) == 0) {
        text += 8;
        server.port = 465;
    } else
        return false;
    bool bracket = *text == '[';
    if (bracket) text++;
    size_t n = strcspn(text, bracket ? "]" : ":/");
    if (n == 0 || n >= sizeof server.host) return false;
    memcpy(server.host, text, n);
    text += n;
    if (bracket && *text == ']') text++;
    if (*text == ':') {
        char *end;
        unsigned long port = strtoul(text + 1, &end, 10);
        if (port == 0 || port > 65535) return false;
        server.port = (uint16_t)port;
    }
    *ret = server;
    return true;
}

/* Could a connection to this loopback host and port find this endpoint? */
static bool answers(const Endpoint *endpoint, const Server *server) {
    if (endpoint->protocol != PROTOCOL_TCP || endpoint->port != server->port) return false;
    Address wanted;
    if (!address_parse(server->host, &wanted)) /* localhost: either family will do */
        return address_is_any(&endpoint->address) || address_is_loopback(&endpoint->address);
    if (address_compare(&endpoint->address, &wanted) == 0) return true;
    if (!address_is_any(&endpoint->address)) return false;
    return endpoint->address.family == wanted.family ||
           (endpoint->address.family == AF_INET6 && wanted.family == AF_INET && !endpoint->v6only);
}

static bool is_loopback(const Server *server) {
    Address address;
    if (address_parse(server->host, &address)) return address_is_loopback(&address);
    size_t n = strlen(server->host);
    return strcmp(server->host, "localhost") == 0 || (n > 10 && strcmp(server->host + n - 10, ".localhost") == 0);
}

static const char *server_of(const NotifierRule *rule) {
    for (size_t i = 0; i < rule->n_settings; i++)
        if (strcmp(rule->settings[i].key, "server") == 0) return rule->settings[i].value;
    return DEFAULT_SERVER;
}

static int add_note(char ***notes, const NotifierRule *rule) {
    char line[1024];
    Server server;
    if (!server_parse(server_of(rule), &server)) return 0;
    snprintf(line, sizeof line,
        "[notifier:%s] sends through a mail server on this host (%s, port %u), but nothing listens there: install one, "
        "or "
        "set server = smtp://HOST:PORT at %s:%u. Until then its messages wait.",
        rule->name, server.host, server.port, rule->place.file ? rule->place.file : "", rule->place.line);
    return strv_append(notes, line);
}

bool mailserver_absent(const Snapshot *snapshot, const NotifierRule *rule) {
    Server server;
    if (strcmp(rule->plugin, "email") != 0 || !server_parse(server_of(rule), &server) || !is_loopback(&server))
        return false;
    if (!snapshot_decides(snapshot, "", PROTOCOL_TCP)) return false;
    for (size_t i = 0; i < snapshot->endpoints.n; i++)
        if (answers(&snapshot->endpoints.items[i], &server)) return false;
    return true;
}

int report_note_notifiers(const Cli *cli, const Rules *rules, char ***notes) {
    if (!rules_tell(rules)) {
        char line[600];
        snprintf(line, sizeof line,
            "No notifier is configured%s: changes are only logged. Add a section [notifier:NAME] with plugin = email "
            "or "
            "plugin = webhook to %s, then: sudo systemctl reload portwatch && sudo portwatch test",
            rules->n_notifiers ? " that takes events" : "", cli->config);
        return strv_append(notes, line);
    }
    bool mail = false;
    for (size_t i = 0; i < rules->n_notifiers; i++) mail = mail || strcmp(rules->notifiers[i].plugin, "email") == 0;
    if (!mail) return 0;
    const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    _cleanup_(sockets_freep) Sockets *sockets = NULL;
    _cleanup_(snapshot_done) Snapshot snapshot = {0};
    int r = sockets_new(&roots, NULL, &sockets);
    if (r >= 0) r = sockets_take(sockets, &snapshot);
    for (size_t i = 0; i < rules->n_notifiers && r >= 0; i++)
        if (mailserver_absent(&snapshot, &rules->notifiers[i])) r = add_note(notes, &rules->notifiers[i]);
    return r < 0 ? r : 0;
}
