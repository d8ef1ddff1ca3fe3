/* clang-format off */
/* Requests: what the command line asks of the daemon, and the answers. Both sides keep to this page.
 *
 * A request is a row of the request table (store/request.h) with a verb, JSON arguments and who asks (SUDO_USER, else
 * the session's login, else the user, else "uid N"; "ops (logged in as ann)" where the first two differ: raw text that
 * the daemon escapes). The table can be written by root and by the daemon's user alone. The daemon applies it in one transaction with its
 * answer: an exit code and a JSON text.
 *
 * verb      arguments                                                       exit codes
 * accept    exactly one of "token": "K7Q2", "port": PORT, "all": true;      0 accepted, or nothing to accept with "all"
 *           "reason": string (may be absent)                                2 nothing changed (unknown token, moved,
 *                                                                             stated by the configuration, not seen
 *                                                                             completely); with "all": not everything
 *           "until": realtime microseconds (may be absent): what was      2 with a port: nothing differs, or it is past
 *           expected before returns then; with "port", where nothing
 *           differs: what changes there until then is accepted
 * revert    "version": integer; "port": PORT (absent: all);                 0 done, or it is that already; 2 no such
 *           "reason" (may be absent)                                        version, or no longer kept
 * import    "file": name; "text": its bytes; "users": {name: uid}, those   0 done, or it is that already; 2 mistakes in
 *           that it names; "reason" (may be absent)                         the file, "errors" says them
 * ack       "token"                                                         0; 2 unknown token
 * pause     "duration": microseconds (> 0);                                 0
 *           "port": PORT (absent: every port)
 * resume    "port": PORT (absent: every pause)                              0; 2 there was no such pause
 * test      "notifiers": [name, ...] (empty: every one)                     0 all delivered; 1 not
 *
 * PORT is {"protocol": "tcp", "port": 443}; port 0 is the ephemeral ports together, with "local": true those on
 * loopback only. Where people gave no protocol, "protocol" is absent and both tcp and udp are meant: the daemon takes
 * each of the two that has something to do (accept: a difference or an incident), and answers 2 if none has.
 *
 * The answer is a JSON object; all members but "text" may be absent:
 *
 *     "text"      lines for people, escaped, without the last \n: printed on standard output (exit code 0) or error
 *     "accepted"  accept: array of {"token": string or null, "port": "443/tcp", "before": [endpoint],
 *                 "after": [endpoint]}: the baseline rows that left and that came in (document_endpoints)
 *     "told", "now"  accept of a token whose port differs now: what was last told and what stands, [endpoint]
 *     "stated"    accept of what the configuration states: "FILE:LINE"
 *     "until"     pause, accept: realtime microseconds
 *     "ahead", "lent"  accept of a port: surfaces where what changes until then is accepted; and where what was
 *                 accepted for a time is now for another, or without "until" for good
 *     "errors"    import: lines "FILE:LINE: ..."
 *     "changed"   revert, import: array of {"port", "before", "after"}, as "accepted"
 *     "results"   test: array of {"notifier": name, "delivered": bool, "reason": string or null (escaped),
 *                 "recipients": [{"recipient": string, "delivered": bool, "code": int, "reason": string or null}]}
 *
 * The daemon answers a test when the last result is in, at the latest before REQUEST_TEST has passed, with "delivered":
 * false and the reason "no answer yet" for what is still under way.
 *
 * The command line waits REQUEST_WAIT (test: REQUEST_TEST), then withdraws the request. It exits 2 (test: 1) without a
 * running daemon, writing nothing, and where the answer does not come. */
/* clang-format on */
#pragma once

#include <jansson.h>

#include "cli/cli.h"

#define REQUEST_WAIT (15 * USEC_PER_SEC)
#define REQUEST_TEST (90 * USEC_PER_SEC)

/* Sends `verb` with `arguments` (taken) and waits. Says what went wrong. Returns the exit code the daemon answered with
 * *ret_answer an object, or `failed` with NULL. */
int request_run(Cli *cli, const char *verb, json_t *arguments, int64_t wait, int failed, json_t **ret_answer);
