#include "plugins/transfer.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 20000L

const char *setting_get(const pw_setting *settings, size_t n_settings, const char *key) {
    for (size_t i = 0; i < n_settings; i++)
        if (strcmp(settings[i].key, key) == 0) return settings[i].value;
    return NULL;
}

void fault_report(const pw_faults *faults, const char *key, const pw_setting *setting, const char *format, ...) {
    char reason[PW_REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    faults->report(faults->context, key, setting, reason);
}

void result_set(pw_result *result, pw_outcome outcome, int code, const char *format, ...) {
    result->outcome = outcome;
    result->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->reason, sizeof(result->reason), format, arguments);
    va_end(arguments);
}

bool text_is_plain(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
    return true;
}

CURL *transfer_new(
    const char *protocols, const char *url, const char *ca, int64_t timeout_usec, char error[static CURL_ERROR_SIZE]) {
    CURL *curl = curl_easy_init();
    if (!curl) return NULL;
    error[0] = '\0';
    long timeout = timeout_usec > 0 ? (long)(timeout_usec / 1000) : 60000L;
    if (timeout < 1) timeout = 1;
    CURLcode r = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_URL, url);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* not what the environment says */
    if (!r) r = curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!r)
        r = curl_easy_setopt(
            curl, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_TIMEOUT_MS ? timeout : CONNECT_TIMEOUT_MS);
    if (!r) r = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout);
    if (!r && ca) {
        struct curl_blob blob = {.data = (void *)ca, .len = strlen(ca), .flags = CURL_BLOB_COPY};
        r = curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
        if (!r) r = curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* else the system's CAs would do as well */
    }
    if (r) {
        curl_easy_cleanup(curl);
        return NULL;
    }
    return curl;
}

const char *transfer_reason(CURLcode code, const char *error) {
    return error[0] ? error : curl_easy_strerror(code);
}

bool host_is_loopback(const char *host) {
    char bare[64];
    size_t length = strlen(host);
    if (host[0] == '[' && length > 2 && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length >= sizeof(bare)) return false;
    memcpy(bare, host, length);
    bare[length] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, bare, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, bare, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(bare, "localhost") == 0;
}

bool ca_is_pem(const char *pem) {
    const char *begin = strstr(pem, "-----BEGIN CERTIFICATE-----");
    return begin && strstr(begin, "-----END CERTIFICATE-----");
}
