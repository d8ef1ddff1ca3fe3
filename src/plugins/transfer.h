/* What email and webhook have in common: a libcurl handle that trusts nothing from the environment, settings by name,
 * faults and results by printf. Used by the plugins of this folder only. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

#include "plugins/plugin.h"

/* The value of the first setting of that key, or NULL. */
const char *setting_get(const pw_setting *settings, size_t n_settings, const char *key);

/* `setting` NULL: the first of that key. */
__attribute__((format(printf, 4, 5))) void fault_report(
    const pw_faults *faults, const char *key, const pw_setting *setting, const char *format, ...);

/* Sets outcome, code and reason. */
__attribute__((format(printf, 4, 5))) void result_set(
    pw_result *result, pw_outcome outcome, int code, const char *format, ...);

/* True if the text holds no control characters (C0 and DEL). */
bool text_is_plain(const char *text);

/* A handle with our defaults: `protocols` only ("http,https"), no proxies, no signals, no redirects, certificate checks
 * on, the message's timeout as total and 20 s for connecting. `ca` (PEM text, may be NULL) replaces the system's CA
 * files. `error` must outlive the handle. NULL: no memory. */
CURL *transfer_new(
    const char *protocols, const char *url, const char *ca, int64_t timeout_usec, char error[static CURL_ERROR_SIZE]);

/* For a failed transfer: libcurl's own words, from `error` if it holds some. */
const char *transfer_reason(CURLcode code, const char *error);

/* True if the host of a URL is this machine: localhost, 127.0.0.0/8 or ::1, by its text alone. */
bool host_is_loopback(const char *host);

/* True if `pem` holds at least one certificate's BEGIN and END line. */
bool ca_is_pem(const char *pem);
