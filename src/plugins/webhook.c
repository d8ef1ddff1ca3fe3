/* The webhook plugin: one POST of a message in the form that the service takes; CloudEvents are signed by the Standard
 * Webhooks scheme. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "plugins/format.h"
#include "plugins/sign.h"
#include "plugins/transfer.h"

#define ANSWER_MAX (64 * 1024)
#define HEADERS_MAX 32
#define REASON_MAX 200 /* of an answer, for people */

typedef struct Webhook {
    Format format;
    char *url, *ca;
    char topic[NTFY_TOPIC_MAX + 1];
    struct curl_slist *headers; /* as configured */
    unsigned char key[SIGN_KEY_MAX];
    size_t key_length; /* 0: not signed */
} Webhook;

static const pw_key keys[] = {
    {"url", PW_KEY_REQUIRED | PW_KEY_SECRET, "https://HOST/PATH to POST to"},
    {"secret", PW_KEY_SECRET | PW_KEY_CREDENTIAL, "whsec_...: signs by the Standard Webhooks scheme"},
    {"header", PW_KEY_REPEAT | PW_KEY_SECRET, "Name: value, sent with each request"},
    {"format", 0, "cloudevents, slack, discord or ntfy"},
    {"heartbeat", 0, "how often to GET the url while all is well"},
    {"ca", PW_KEY_FILE_ONLY, "PEM file of CAs to trust instead of the system's"},
};

static void webhook_release(void *instance) {
    Webhook *webhook = instance;
    if (!webhook) return;
    free(webhook->url);
    free(webhook->ca);
    curl_slist_free_all(webhook->headers);
    OPENSSL_cleanse(webhook->key, sizeof(webhook->key));
    free(webhook);
}

/* What is wrong with a configured header, or NULL. */
static const char *header_fault(const char *header) {
    static const char *const ours[] = {"content-type", "content-length", "host", "transfer-encoding", "connection",
        "expect", "te", "trailer", "upgrade", "user-agent"};
    size_t n = strspn(header, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~");
    if (n == 0 || header[n] != ':') return "is not like \"Name: value\"";
    if (!text_is_plain(header)) return "holds a control character";
    /* "Name:" alone would tell libcurl to leave a header out */
    if (!header[n + 1 + strspn(header + n + 1, " ")]) return "has no value";
    if (n > 8 && strncasecmp(header, "webhook-", 8) == 0) return "the webhook- headers are portwatch's own";
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strlen(ours[i]) == n && strncasecmp(header, ours[i], n) == 0) return "this header is portwatch's own";
    return NULL;
}

static bool url_valid(const char *text) {
    CURLU *url = curl_url();
    char *host = NULL;
    bool good = url && text_is_plain(text) && !strchr(text, ' ') &&
                (strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0) &&
                curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0];
    curl_free(host);
    curl_url_cleanup(url);
    return good;
}

static bool headers_take(Webhook *webhook, const pw_setting *settings, size_t n, const pw_faults *faults) {
    bool good = true;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(settings[i].key, "header") != 0) continue;
        const char *fault = ++count > HEADERS_MAX ? "is given too often" : header_fault(settings[i].value);
        struct curl_slist *grown = fault ? NULL : curl_slist_append(webhook->headers, settings[i].value);
        if (!grown) {
            fault_report(faults, "header", &settings[i], "%s", fault ? fault : "out of memory");
            good = false;
        } else
            webhook->headers = grown;
    }
    return good;
}

/* The url of an ntfy topic: what is JSON goes to the root of its server and names the topic inside. */
static bool topic_take(Webhook *webhook, const char *text) {
    CURLU *url = curl_url();
    char *path = NULL, *root = NULL;
    bool good = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && ntfy_topic_valid(path + 1) &&
                curl_url_set(url, CURLUPART_PATH, "/", 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_URL, &root, 0) == CURLUE_OK && (webhook->url = strdup(root));
    if (good) strcpy(webhook->topic, path + 1);
    curl_free(path);
    curl_free(root);
    curl_url_cleanup(url);
    return good;
}

static bool format_take(Webhook *webhook, const pw_setting *settings, size_t n, const pw_faults *faults) {
    const char *format = setting_get(settings, n, "format");
    if (format && !format_parse(format, &webhook->format)) {
        fault_report(faults, "format", NULL, "is not cloudevents, slack, discord or ntfy");
        return false;
    }
    if (webhook->format == FORMAT_CLOUDEVENTS) return true;
    bool signs = setting_get(settings, n, "secret"), beats = setting_get(settings, n, "heartbeat");
    if (signs) fault_report(faults, "secret", NULL, "signs cloudevents; %s checks no signatures: leave it out", format);
    if (beats)
        fault_report(faults, "heartbeat", NULL,
            "%s does not watch for signs of life: give the service that does a [notifier:] of its own", format);
    return !signs && !beats;
}

static bool url_take(Webhook *webhook, const char *url, const pw_faults *faults) {
    if (!url_valid(url))
        fault_report(faults, "url", NULL, "is not a URL like https://example.com/hook");
    else if (webhook->format == FORMAT_NTFY && !topic_take(webhook, url))
        fault_report(faults, "url", NULL, "is not an ntfy topic's URL like https://ntfy.example.com/TOPIC");
    else if (!webhook->url && !(webhook->url = strdup(url)))
        fault_report(faults, "url", NULL, "out of memory");
    else
        return true;
    return false;
}

static int webhook_configure(const pw_setting *settings, size_t n, const pw_faults *faults, void **instance) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        fault_report(faults, "url", NULL, "libcurl does not start");
        return -1;
    }
    const char *secret = setting_get(settings, n, "secret"), *ca = setting_get(settings, n, "ca");
    Webhook *webhook = calloc(1, sizeof(Webhook));
    if (!webhook) return -1;
    bool good = format_take(webhook, settings, n, faults);
    if (!url_take(webhook, setting_get(settings, n, "url"), faults)) good = false;
    if (secret && !sign_key_parse(secret, webhook->key, &webhook->key_length)) {
        fault_report(faults, "secret", NULL, "is not whsec_ and base64 of %d to %d bytes", SIGN_KEY_MIN, SIGN_KEY_MAX);
        good = false;
    }
    if (ca && !ca_is_pem(ca)) {
        fault_report(faults, "ca", NULL, "the file holds no PEM certificate");
        good = false;
    } else if (ca && !(webhook->ca = strdup(ca))) {
        fault_report(faults, "ca", NULL, "out of memory");
        good = false;
    }
    if (!headers_take(webhook, settings, n, faults)) good = false;
    if (!good) {
        webhook_release(webhook);
        return -1;
    }
    *instance = webhook;
    return 0;
}

typedef struct Answer {
    size_t length;
    char start[512]; /* for people, and for what Discord says inside */
} Answer;

static size_t answer_write(char *data, size_t size, size_t count, void *userdata) {
    Answer *answer = userdata;
    size_t n = size * count, room = sizeof(answer->start) - 1;
    if (answer->length < room)
        memcpy(answer->start + answer->length, data, n < room - answer->length ? n : room - answer->length);
    answer->length += n;
    return answer->length > ANSWER_MAX ? 0 : n; /* 0 ends the transfer */
}

__attribute__((format(printf, 2, 3))) static bool header_add(struct curl_slist **list, const char *format, ...) {
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&line, format, arguments);
    va_end(arguments);
    struct curl_slist *grown = n < 0 ? NULL : curl_slist_append(*list, line);
    if (n >= 0) free(line);
    if (grown) *list = grown;
    return grown != NULL;
}

static bool id_valid(const char *id) {
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n > 0 && n <= 64 && !id[n];
}

/* CloudEvents travel by the Standard Webhooks scheme. */
static bool standard_add(const Webhook *webhook, const pw_message *message, struct curl_slist **list) {
    char signature[SIGNATURE_MAX];
    long long now = (long long)time(NULL);
    bool batch = message->document[strspn(message->document, " \t\r\n")] == '[';
    if (!header_add(list, "Content-Type: application/cloudevents%s+json; charset=utf-8", batch ? "-batch" : "") ||
        !header_add(list, "webhook-id: %s", message->id) || !header_add(list, "webhook-timestamp: %lld", now))
        return false;
    if (webhook->key_length == 0) return true;
    return sign_message(webhook->key, webhook->key_length, message->id, now, message->document, signature) &&
           header_add(list, "webhook-signature: %s", signature);
}

/* `message` NULL: of a heartbeat. */
static struct curl_slist *headers_form(const Webhook *webhook, const pw_message *message) {
    struct curl_slist *list = NULL;
    bool good = header_add(&list, "User-Agent: portwatch") && header_add(&list, "Expect:");
    if (good && message && webhook->format == FORMAT_CLOUDEVENTS)
        good = standard_add(webhook, message, &list);
    else if (good && message)
        good = header_add(&list, "Content-Type: application/json");
    for (const struct curl_slist *h = webhook->headers; good && h; h = h->next) good = header_add(&list, "%s", h->data);
    if (good) return list;
    curl_slist_free_all(list);
    return NULL;
}

/* Discord says how long to wait inside its answer, in seconds with a fraction; the header is rounded. */
static int64_t wait_of(const Answer *answer) {
    json_t *root = json_loads(answer->start, 0, NULL);
    double seconds = json_number_value(json_object_get(root, "retry_after"));
    json_decref(root);
    return seconds > 0 && seconds < 1e9 ? (int64_t)(seconds * 1e6 + 0.5) : 0;
}

static void outcome_decide(CURL *curl, CURLcode code, const Answer *answer, const char *error, pw_result *result) {
    long status = 0;
    curl_off_t wait = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    /* Once there is a status the server has decided: a body that is endless, slow or cut short changes nothing. */
    bool decided = status >= 200 && (code == CURLE_OK || code == CURLE_WRITE_ERROR || code == CURLE_PARTIAL_FILE ||
                                        code == CURLE_OPERATION_TIMEDOUT || code == CURLE_RECV_ERROR);
    if (!decided) {
        result_set(result, PW_RETRY, 0, "%s", transfer_reason(code, error));
        return;
    }
    if (status < 300) {
        result->outcome = PW_DELIVERED;
        result->code = (int)status;
        return;
    }
    bool refused = status == 400 || status == 413 || status == 422;
    if (status < 400)
        result_set(result, PW_RETRY, (int)status, "HTTP %ld: redirects are not followed: set the final url", status);
    else
        result_set(result, refused ? PW_REFUSED : PW_RETRY, (int)status, "HTTP %ld%s%.*s", status,
            answer->length ? ": " : "", REASON_MAX, answer->start);
    if (!refused && curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        result->retry_after_usec = wait < 1000000000 ? wait * 1000000 : INT64_C(1000000000000000);
    if (status == 429 && wait_of(answer) > result->retry_after_usec) result->retry_after_usec = wait_of(answer);
}

/* `body` NULL: a GET. Takes the headers. */
static void request_send(
    const Webhook *webhook, const char *body, struct curl_slist *headers, int64_t timeout_usec, pw_result *result) {
    char error[CURL_ERROR_SIZE] = "";
    Answer answer = {0};
    CURL *curl = headers ? transfer_new("http,https", webhook->url, webhook->ca, timeout_usec, error) : NULL;
    if (!curl) {
        result_set(result, PW_RETRY, 0, "out of memory");
        curl_slist_free_all(headers);
        return;
    }
    CURLcode r = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (!r && body) r = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (!r && body) r = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    if (!r && body) r = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_write);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (!r) r = curl_easy_perform(curl);
    outcome_decide(curl, r, &answer, error, result);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
}

static void webhook_deliver(void *instance, const pw_message *message, const char *recipient, pw_result *result) {
    const Webhook *webhook = instance;
    (void)recipient;
    if (!id_valid(message->id)) {
        result_set(result, PW_REFUSED, 0, "the message's id is not fit for a header");
        return;
    }
    char *body = format_body(webhook->format, message, webhook->topic);
    if (body)
        request_send(webhook, body, headers_form(webhook, message), message->timeout_usec, result);
    else
        result_set(result, PW_RETRY, 0, "out of memory");
    free(body);
}

/* GET, which every service of this kind takes (healthchecks, Uptime Kuma, Dead Man's Snitch). */
static void webhook_heartbeat(void *instance, const pw_heartbeat *beat, pw_result *result) {
    request_send(instance, NULL, headers_form(instance, NULL), beat->timeout_usec, result);
}

static const pw_plugin plugin = {
    .abi = PW_ABI,
    .size = sizeof(pw_plugin),
    .name = "webhook",
    .version = "1",
    .keys = keys,
    .n_keys = sizeof(keys) / sizeof(keys[0]),
    .configure = webhook_configure,
    .deliver = webhook_deliver,
    .release = webhook_release,
    .heartbeat = webhook_heartbeat,
};

const pw_plugin *pw_plugin_v1(void) {
    return &plugin;
}
