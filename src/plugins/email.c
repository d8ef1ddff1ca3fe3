/* The email plugin: SMTP by libcurl. Each recipient has a transaction of its own, because libcurl drops all recipients
 * for one refused, or hides refusals. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "plugins/mail.h"
#include "plugins/transfer.h"

#define RECIPIENTS_MAX 100
#define SOCKETS_MAX 16

typedef struct Email {
    char *server, *from, *username, *password, *ca;
    char **to; /* ends with NULL */
    bool starttls;
} Email;

static const pw_key keys[] = {
    {"server", PW_KEY_REQUIRED, "smtp://HOST:PORT or smtps://HOST:PORT"},
    {"starttls", 0, "no or required; default: no for a loopback server, else required"},
    {"from", PW_KEY_REQUIRED, "the sender's address"},
    {"to", PW_KEY_REQUIRED | PW_KEY_REPEAT, "addresses, separated by commas"},
    {"username", 0, "for SMTP AUTH"},
    {"password", PW_KEY_SECRET | PW_KEY_CREDENTIAL, "for SMTP AUTH"},
    {"ca", PW_KEY_FILE_ONLY, "PEM file of CAs to trust instead of the system's"},
};

static void email_release(void *instance) {
    Email *email = instance;
    if (!email) return;
    free(email->server);
    free(email->from);
    free(email->username);
    free(email->password);
    free(email->ca);
    for (char **t = email->to; t && *t; t++) free(*t);
    free(email->to);
    free(email);
}

static bool recipient_is_known(const Email *email, const char *address) {
    for (char **t = email->to; t && *t; t++)
        if (strcasecmp(*t, address) == 0) return true;
    return false;
}

/* Takes the address over. */
static bool recipient_append(Email *email, char *address) {
    size_t n = 0;
    while (email->to && email->to[n]) n++;
    char **grown = n < RECIPIENTS_MAX ? reallocarray(email->to, n + 2, sizeof(char *)) : NULL;
    if (!grown) {
        free(address);
        return false;
    }
    grown[n] = address;
    grown[n + 1] = NULL;
    email->to = grown;
    return true;
}

/* Adds the addresses of one "a@b, c@d" value. False: a fault was reported. */
static bool recipients_add(Email *email, const pw_setting *setting, const pw_faults *faults) {
    const char *fault = NULL;
    for (const char *p = setting->value; !fault; p++) {
        p += strspn(p, " \t");
        size_t length = strcspn(p, ","), end = length;
        while (end > 0 && isspace((unsigned char)p[end - 1])) end--;
        char address[256];
        snprintf(address, sizeof(address), "%.*s", (int)(end < 255 ? end : 255), p);
        char *copied = strdup(address);
        if (!copied)
            fault = "out of memory";
        else if (!address_valid(copied))
            fault = "is not an address like user@example.com";
        else if (recipient_is_known(email, copied))
            fault = "is given twice";
        if (fault)
            free(copied);
        else if (!recipient_append(email, copied))
            fault = "is one recipient too many";
        if (fault) fault_report(faults, "to", setting, "\"%s\" %s", address, fault);
        p += length;
        if (*p != ',') break;
    }
    return !fault;
}

/* Checks the server's URL. Sets whether it is smtps and whether it is this host. */
static bool server_check(const char *server, const pw_faults *faults, bool *ret_smtps, bool *ret_loopback) {
    bool good = false;
    char *scheme = NULL, *host = NULL, *path = NULL, *extra = NULL;
    CURLU *url = curl_url();
    if (url && text_is_plain(server) &&
        (strncasecmp(server, "smtp://", 7) == 0 || strncasecmp(server, "smtps://", 8) == 0) &&
        curl_url_set(url, CURLUPART_URL, server, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] &&
        curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") == 0) {
        good = true;
        static const CURLUPart none[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
        for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
            if (curl_url_get(url, none[i], &extra, 0) == CURLUE_OK) {
                good = false;
                curl_free(extra);
            }
    }
    if (good) {
        *ret_smtps = strcasecmp(scheme, "smtps") == 0;
        *ret_loopback = host_is_loopback(host);
    } else
        fault_report(faults, "server", NULL, "is not smtp://HOST:PORT or smtps://HOST:PORT");
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    curl_url_cleanup(url);
    return good;
}

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

static int email_configure(const pw_setting *settings, size_t n, const pw_faults *faults, void **instance) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fault_report(faults, "server", NULL, "libcurl does not start");
        return -1;
    }
    const char *starttls = setting_get(settings, n, "starttls"), *ca = setting_get(settings, n, "ca");
    const char *username = setting_get(settings, n, "username"), *password = setting_get(settings, n, "password");
    const char *server = setting_get(settings, n, "server"), *from = setting_get(settings, n, "from");
    bool good = true, smtps = false, loopback = false;
    Email *email = calloc(1, sizeof(Email));
    if (!email) return -1;
    bool known = server_check(server, faults, &smtps, &loopback);
    if (!known) good = false;
    email->starttls = !smtps && !loopback;
    if (starttls && strcmp(starttls, "no") == 0)
        email->starttls = false;
    else if (starttls && strcmp(starttls, "required") == 0)
        email->starttls = true;
    else if (starttls) {
        fault_report(faults, "starttls", NULL, "is neither no nor required");
        good = false;
    }
    if (known && smtps && starttls && email->starttls) {
        fault_report(faults, "starttls", NULL,
            "an smtps:// server is encrypted from the start: remove this line, or use smtp://");
        good = false;
    }
    if (!address_valid(from)) {
        fault_report(faults, "from", NULL, "is not an address like portwatch@example.com");
        good = false;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(settings[i].key, "to") == 0 && !recipients_add(email, &settings[i], faults)) good = false;
    if (username && !password) {
        fault_report(faults, "username", NULL, "needs password, password_file or credential");
        good = false;
    }
    if (password && !username) {
        fault_report(faults, "password", NULL, "needs username");
        good = false;
    }
    if ((username && !text_is_plain(username)) || (password && !text_is_plain(password))) {
        fault_report(faults, username && !text_is_plain(username) ? "username" : "password", NULL,
            "holds a control character or a second line");
        good = false;
    }
    if (known && username && !email->starttls && !smtps && !loopback) {
        fault_report(faults, "username", NULL,
            "would send the password in clear: use starttls = required or an smtps:// server");
        good = false;
    }
    if (ca && !ca_is_pem(ca)) {
        fault_report(faults, "ca", NULL, "the file holds no PEM certificate");
        good = false;
    }
    if (good) {
        email->server = copy(server);
        email->from = copy(from);
        email->username = copy(username);
        email->password = copy(password);
        email->ca = copy(ca);
        if (!email->server || !email->from || (username && (!email->username || !email->password)) ||
            (ca && !email->ca)) {
            fault_report(faults, "server", NULL, "out of memory");
            good = false;
        }
    }
    if (!good) {
        email_release(email);
        return -1;
    }
    *instance = email;
    return 0;
}

static const char *const *email_recipients(void *instance) {
    return (const char *const *)((Email *)instance)->to;
}

/* Which command the last reply answers: libcurl's result code does not say, and the difference between "the server
 * does not want us" and "the server does not want this message" is ours to make. */
typedef enum Stage {
    STAGE_CONNECT,
    STAGE_HELLO,
    STAGE_TLS,
    STAGE_AUTH,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_DATA,
    STAGE_QUIT
} Stage;

typedef struct Conversation {
    Stage stage;
    int code; /* of the last reply to the present command, 0: none yet */
    char reply[256];
    bool authenticated, leaving;
    const char *mail;
    size_t length, sent;
    curl_socket_t sockets[SOCKETS_MAX]; /* opened for it: IPv4 and IPv6 are tried side by side */
    size_t n_sockets;
} Conversation;

static int socket_note(void *userdata, curl_socket_t socket, curlsocktype purpose) {
    Conversation *c = userdata;
    (void)purpose;
    if (c->n_sockets < SOCKETS_MAX) c->sockets[c->n_sockets++] = socket;
    return CURL_SOCKOPT_OK;
}

/* libcurl says QUIT and waits two minutes for the answer, past every timeout, while the outcome stands already: a
 * server that is silent there would get the same mail again and again. */
static void goodbye_unheard(Conversation *c) {
    for (size_t i = 0; i < c->n_sockets; i++) shutdown(c->sockets[i], SHUT_RD);
}

static Stage stage_of(const char *data, size_t size, Stage before) {
    static const struct {
        const char *verb;
        Stage stage;
    } verbs[] = {{"EHLO", STAGE_HELLO}, {"HELO", STAGE_HELLO}, {"STARTTLS", STAGE_TLS}, {"AUTH", STAGE_AUTH},
        {"MAIL FROM:", STAGE_MAIL}, {"RCPT TO:", STAGE_RCPT}, {"DATA", STAGE_DATA}, {"QUIT", STAGE_QUIT}};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (size >= strlen(verbs[i].verb) && strncasecmp(data, verbs[i].verb, strlen(verbs[i].verb)) == 0)
            return verbs[i].stage;
    return before; /* the further lines of AUTH: secrets, not looked at */
}

static int conversation_watch(CURL *curl, curl_infotype type, char *data, size_t size, void *userdata) {
    (void)curl;
    Conversation *c = userdata;
    if (c->leaving) return 0; /* how it ended is what counts, not the goodbye */
    if (type == CURLINFO_HEADER_OUT) {
        Stage next = stage_of(data, size, c->stage);
        if (next == STAGE_QUIT) {
            c->leaving = true;
            goodbye_unheard(c);
            return 0;
        }
        c->stage = next;
        c->code = 0;
        c->reply[0] = '\0';
    } else if (type == CURLINFO_DATA_OUT) {
        c->code = 0;
    } else if (type == CURLINFO_HEADER_IN && size >= 3) {
        int code = 0;
        for (int i = 0; i < 3; i++) {
            if (!isdigit((unsigned char)data[i])) return 0;
            code = code * 10 + (data[i] - '0');
        }
        c->code = code;
        if (c->stage == STAGE_AUTH && code == 235) c->authenticated = true;
        while (size > 0 && isspace((unsigned char)data[size - 1])) size--;
        if (size >= sizeof(c->reply)) size = sizeof(c->reply) - 1;
        memcpy(c->reply, data, size);
        c->reply[size] = '\0';
    }
    return 0;
}

static size_t mail_read(char *buffer, size_t size, size_t count, void *userdata) {
    Conversation *c = userdata;
    size_t n = c->length - c->sent;
    if (n > size * count) n = size * count;
    memcpy(buffer, c->mail + c->sent, n);
    c->sent += n;
    return n;
}

static void outcome_decide(
    const Email *email, const Conversation *c, CURLcode code, const char *error, pw_result *result) {
    static const char *const doing[] = {"connecting", "greeting", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"};
    if (code == CURLE_OK) {
        result->outcome = PW_DELIVERED;
        result->code = c->code;
        return;
    }
    /* a timeout or a lost connection after a reply is not that reply's fault */
    bool replied = c->code >= 400 && code != CURLE_OPERATION_TIMEDOUT;
    if (!replied) {
        result_set(result, PW_RETRY, 0, "%s: %s", doing[c->stage], transfer_reason(code, error));
        return;
    }
    /* 530 to 538: the server wants AUTH, TLS or another mechanism. It is we who are wrong, not the message. */
    bool ours = c->code >= 530 && c->code <= 538;
    if (email->username && !c->authenticated) {
        result_set(result, PW_RETRY, c->code, "%s: %s%s", doing[c->stage], c->reply,
            c->stage > STAGE_AUTH ? " (the server offered no AUTH)" : "");
        return;
    }
    bool refused = c->code >= 500 && !ours && (c->stage == STAGE_RCPT || c->stage == STAGE_DATA);
    result_set(result, refused ? PW_REFUSED : PW_RETRY, c->code, "%s: %s", doing[c->stage], c->reply);
}

/* The host's name as EHLO argument where it looks like one; libcurl takes it from the URL's path. */
static char *url_form(const Email *email, const char *host) {
    size_t n = strlen(email->server),
           h = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    char *url = malloc(n + h + 2);
    if (!url) return NULL;
    memcpy(url, email->server, n);
    while (n > 0 && url[n - 1] == '/') n--;
    url[n++] = '/';
    if (host[h] || h > 253 || host[0] == '.' || host[0] == '-') h = 0;
    memcpy(url + n, host, h);
    url[n + h] = '\0';
    return url;
}

static void email_deliver(void *instance, const pw_message *message, const char *recipient, pw_result *result) {
    const Email *email = instance;
    char error[CURL_ERROR_SIZE];
    char *url = url_form(email, message->host);
    char *mail = mail_form(message, email->from, (const char *const *)email->to);
    struct curl_slist *to = curl_slist_append(NULL, recipient);
    CURL *curl = url ? transfer_new("smtp,smtps", url, email->ca, message->timeout_usec, error) : NULL;
    Conversation c = {.mail = mail, .length = mail ? strlen(mail) : 0};
    if (!mail || !to || !curl) {
        result_set(result, PW_RETRY, 0, "out of memory");
        goto finish;
    }
    CURLcode r = curl_easy_setopt(curl, CURLOPT_MAIL_FROM, email->from);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_READFUNCTION, mail_read);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_READDATA, &c);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, conversation_watch);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_DEBUGDATA, &c);
    /* never CURLUSESSL_TRY: it sends AUTH in clear after a 454 to STARTTLS */
    if (!r) r = curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(email->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    if (!r && email->username) r = curl_easy_setopt(curl, CURLOPT_USERNAME, email->username);
    if (!r && email->username) r = curl_easy_setopt(curl, CURLOPT_PASSWORD, email->password);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, socket_note);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, &c);
    if (!r) r = curl_easy_perform(curl);
    goodbye_unheard(&c);
    outcome_decide(email, &c, r, error, result);
finish:
    curl_easy_cleanup(curl);
    curl_slist_free_all(to);
    free(mail);
    free(url);
}

static const pw_plugin plugin = {
    .abi = PW_ABI,
    .size = sizeof(pw_plugin),
    .name = "email",
    .version = "1",
    .keys = keys,
    .n_keys = sizeof(keys) / sizeof(keys[0]),
    .configure = email_configure,
    .recipients = email_recipients,
    .deliver = email_deliver,
    .release = email_release,
};

const pw_plugin *pw_plugin_v1(void) {
    return &plugin;
}
