#include <string.h>
#include <strings.h>

#include "config/keys.h"

/* `text` with each %H replaced. */
static char *host_expand(const char *text, const char *host) {
    size_t length = strlen(text) + 1;
    for (const char *p = text; (p = strstr(p, "%H")); p += 2) length += strlen(host);

    char *expanded = malloc(length), *to = expanded;
    if (!expanded) return NULL;
    while (*text)
        if (text[0] == '%' && text[1] == 'H') {
            to = stpcpy(to, host);
            text += 2;
        } else
            *to++ = *text++;
    *to = '\0';
    return expanded;
}

static bool key_is_secret(const Entry *entry) {
    size_t length = strlen(entry->key);
    if (length > 5 && strcmp(entry->key + length - 5, "_file") == 0) return false;
    if (strcmp(entry->key, "url") == 0) return true; /* of a webhook: knowing it is being allowed to post */
    if (strcmp(entry->key, "header") == 0) return strncasecmp(entry->value, "authorization", 13) == 0;
    return strstr(entry->key, "password") || strstr(entry->key, "secret") || strstr(entry->key, "token");
}

void setting_take(const Context *context, const Target *target) {
    const Entry *entry = context->entry;
    NotifierRule *rule = target->notifier;
    bool expand = strstr(entry->value, "%H") != NULL;

    /* Such a key is not shown: it may be the second line of a secret. */
    if (entry->key[0] < 'a' || entry->key[0] > 'z' || strlen(entry->key) > 32 ||
        entry->key[strspn(entry->key, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0') {
        complaint_error(context->complaints, entry->spot, context->section->header, NULL,
            "a plugin's key has lower-case letters, digits and '_' only, 32 at most");
        return;
    }
    if (expand && (!target->host || !host_is_valid(target->host))) {
        context_error(context, "%%H stands for this host's name, which is %s; write the name",
            target->host && *target->host ? "no valid one" : "not known");
        return;
    }
    if (expand && !strchr(target->host, '.'))
        context_warning(
            context, "%%H is '%s', a name without a domain: mail servers elsewhere may refuse it", target->host);
    if (entry->spot.file->exposed && key_is_secret(entry))
        context_warning(context, "holds a secret that everybody on this host can read: chmod 0640 the file");
    if (entry->value[0] == '"') context_warning(context, "values are written without quotes: these are part of it");

    Setting setting = {
        .key = strdup(entry->key),
        .value = expand ? host_expand(entry->value, target->host) : strdup(entry->value),
    };
    Setting *settings =
        setting.key && setting.value ? reallocarray(rule->settings, rule->n_settings + 1, sizeof(*settings)) : NULL;
    if (settings) rule->settings = settings;
    if (!settings || !place_set(context->complaints, &setting.place, entry->spot)) {
        free(setting.key);
        free(setting.value);
        context->complaints->no_memory = true;
        return;
    }
    settings[rule->n_settings++] = setting;
}

bool place_set(Complaints *complaints, Place *place, Spot spot) {
    place->file = strdup(spot.file->name);
    place->line = spot.line;
    if (!place->file) complaints->no_memory = true;
    return place->file != NULL;
}
