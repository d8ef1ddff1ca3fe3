/* Phrases for people, made from event documents: the words of subjects, summaries and rows. They rely on the strings
 * in documents being escaped already (notify/document.h). Pure; writes to a stream whose error the caller checks. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How much of an owner is said; more where less would make two owners look the same. */
typedef enum PhraseDetail {
    PHRASE_NAME, /* nginx (user www-data); a full path where the executable is in no system directory */
    PHRASE_PATH, /* /usr/sbin/nginx (user www-data) */
    PHRASE_UNIT, /* /usr/sbin/nginx (user www-data) of nginx.service */
} PhraseDetail;

/* A name, cut at 96 columns, in quotes where it holds what the sentences around it use. */
void phrase_name(FILE *out, const char *name);
/* An owner object (document_owner); null is "unknown owner". The user is left out where it equals the name. */
void phrase_owner(FILE *out, const json_t *owner, PhraseDetail detail);
/* The distinct owners of an array of endpoints: "nginx (user www-data) and php-fpm (user www-data)"; at most three. */
void phrase_owners(FILE *out, const json_t *endpoints, PhraseDetail detail);
/* Where an array of endpoints listens: "all addresses", "this host only", "10.0.0.5 and 10.0.0.6". `lengthy`: "all IPv4
 * and IPv6 addresses". */
void phrase_addresses(FILE *out, const json_t *endpoints, bool lengthy);
/* "443/tcp (public web)" of an incident's document. */
void phrase_port(FILE *out, const json_t *document);
/* The least detail in which the owners of both arrays read differently; PHRASE_NAME if they never do or one side knows
 * none, and then *ret_same (may be NULL) is true. */
PhraseDetail phrase_detail(const json_t *before, const json_t *after, bool *ret_same);
/* True if any endpoint's owner is known. What the configuration states has none. */
bool phrase_has_owner(const json_t *endpoints);
/* True if no endpoint was ever seen there: the configuration alone names them. False for none. */
bool phrase_is_stated(const json_t *endpoints);
/* True if the file of any owner's program is gone or another one by now. */
bool phrase_is_outdated(const json_t *endpoints);
/* True if the endpoint's address is a loopback one. */
bool phrase_is_local(const json_t *endpoint);

/* The event in one line: "5432/tcp now on all addresses (was this host only): postgres". Allocated; NULL: no memory. */
char *phrase_summary(const json_t *document);

/* Accessors for documents; absent members read as null, "" and 0. */
const json_t *phrase_data(const json_t *document);
const char *phrase_string(const json_t *object, const char *key);
/* "opened", "changed", "resolved", "reminder", "learned", "self", "test": the last part of the type. */
const char *phrase_type(const json_t *document);
/* True if it is about all of a namespace together. */
bool phrase_is_whole(const json_t *document);
/* " in container web" for an object whose "namespace" is not the host. */
void phrase_in(FILE *out, const json_t *object);
/* "container web", "namespace blue", "namespace of foo.service". */
void phrase_namespace(FILE *out, const char *namespace);
/* True if it is about a port, or several (not about portwatch itself). */
bool phrase_is_port(const json_t *document);
/* A time in `object`; 0 if absent. Realtime microseconds. */
int64_t phrase_time(const json_t *object, const char *key);
/* Ports (protocol and number) in an array of endpoints sorted by them. */
size_t phrase_count_ports(const json_t *endpoints);
/* How many rows of `side` (before, after) the document had no room for. */
size_t phrase_omitted(const json_t *data, const char *side);
/* The owners of an endpoint, as a new array (empty: none known). NULL: no memory. */
json_t *phrase_endpoint_owners(const json_t *endpoint);
