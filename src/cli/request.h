/* Requests: what the command line asks of the daemon, and the answers. Both sides keep to this page.
 *
 * A request is a row of the request table (store/request.h) with a verb and JSON arguments; the daemon applies it in
 * one transaction with its answer: an exit code and a JSON text. Every argument object holds
 *
 *     "who"     string: SUDO_USER, else the login name, else "uid N". Raw text of at most 256 bytes, for history and
 * mail (the daemon escapes it like any hostile text)
 *
 * verb      further arguments                                            exit codes
 * accept    exactly one of "token": "K7Q2", "port": PORT, "all": true;   0 accepted, or nothing to accept with "all"
 *           "reason": string (may be absent)                            2 nothing changed (unknown token, moved, stated
 * by the configuration, not seen completely), or with "all" not everything could be accepted ack       "token" 0, 2
 * unknown token pause     "duration": microseconds (> 0); "port": PORT (may be absent: every port)     0 resume "port":
 * PORT (may be absent: every pause)                    0, 2 there was no such pause test      "notifiers": [name, ...]
 * (empty: every one)                  0 all delivered, 1 not
 *
 * PORT is an object {"protocol": "tcp", "port": 443}; port 0 is the ephemeral ports together, with "local": true those
 * on loopback only. Where people gave no protocol, "protocol" is absent and both tcp and udp are meant: the daemon
 * takes every one of the two that has something to do (accept: a difference or an incident), and answers 2 if none has.
 *
 * The answer is a JSON object:
 *
 *     "text"      string, one or more lines for people, escaped, without the last \n. Printed as it is on standard
 * output (exit code 0) or standard error (else) "accepted"  accept: array of {"token": string or null, "port":
 * "443/tcp", "before": [endpoint], "after": [endpoint]} (document_endpoints): the baseline rows that left and that came
 * in. Printed as - and + rows "told", "now"  accept of a token whose port differs now: what was last told and what
 * stands, [endpoint]; both printed "stated"    accept of what the configuration states: "FILE:LINE" "until"     pause:
 * realtime microseconds "results"   test: array of {"notifier": name, "delivered": bool, "reason": string or null
 * (escaped), "recipients": [{"recipient": string, "delivered": bool, "code": int, "reason": string or null}]}
 *
 * All but "text" may be absent. The daemon answers a test when the last result is in; it must answer before
 * REQUEST_TEST has passed, with "delivered": false and the reason "no answer yet" for what is still under way.
 *
 * The command line waits REQUEST_WAIT (test: REQUEST_TEST) for the answer, then withdraws the request; it exits 2
 * (test: 1) without a running daemon, writing nothing, and where the answer does not come. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"

#define REQUEST_WAIT (15 * USEC_PER_SEC)
#define REQUEST_TEST (90 * USEC_PER_SEC)

/* Sends `verb` with `arguments` (taken; "who" is added here) and waits. Prints what went wrong. The exit code the
 * daemon answered with *ret_answer an object, or `failed` with NULL. */
int request_run(Cli *cli, const char *verb, json_t *arguments, int64_t wait, int failed, json_t **ret_answer);
