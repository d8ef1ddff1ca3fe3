/* portwatch pause, resume: no alerts for a time. */
#include <errno.h>
#include <string.h>

#include "cli/port.h"
#include "cli/request.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"

/* Sends it and says what became of it; `what` names the port, or NULL for all. */
static int send_request(Cli *cli, const char *verb, json_t *arguments, const char *what) {
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, verb, arguments, REQUEST_WAIT, EXIT_UNKNOWN, &answer);
    if (!answer) return code;
    const json_t *until = json_object_get(answer, "until");
    if (cli->json) {
        char iso[MOMENT_TEXT_MAX];
        if (json_is_integer(until) &&
            json_object_set_new(answer, "until", json_string(moment_iso(json_integer_value(until), iso))) < 0)
            return cli_failed(-ENOMEM);
        _cleanup_free_ char *text = document_text_pretty(answer);
        if (!text) return cli_failed(-ENOMEM);
        puts(text);
    } else if (code != EXIT_WELL)
        cli_error("%s", phrase_string(answer, "text"));
    else if (json_is_integer(until)) {
        char clock[MOMENT_TEXT_MAX];
        printf("no alerts for %s until %s; what differs then is told then\n", what ? what : "any port",
            moment_clock(json_integer_value(until), cli_now(), clock));
    } else
        puts(phrase_string(answer, "text"));
    return code;
}

/* Adds the port at `index` of the arguments, if there is one. 0, or an exit code. */
static int add_port(const Cli *cli, size_t index, json_t *arguments, char name[static SURFACE_TEXT_MAX]) {
    *name = '\0';
    if (cli->n_arguments <= index) return 0;
    Port port;
    if (!port_read(cli->arguments[index], &port)) return EXIT_USAGE;
    port_format(&port, name);
    return json_object_set_new(arguments, "port", port_json(&port)) < 0 ? cli_failed(-ENOMEM) : 0;
}

static int with_port(Cli *cli, const char *verb, size_t index, json_t *arguments) {
    char name[SURFACE_TEXT_MAX];
    int r = arguments ? add_port(cli, index, arguments, name) : cli_failed(-ENOMEM);
    if (r != 0) {
        json_decref(arguments);
        return r;
    }
    return send_request(cli, verb, arguments, *name ? name : NULL);
}

int command_pause(Cli *cli) {
    int64_t duration;
    if (!duration_parse(cli->arguments[0], &duration) || duration <= 0)
        return cli_usage("pause takes a duration, as 30m, 2h or 1d");
    return with_port(cli, "pause", 1, json_pack("{sI}", "duration", (json_int_t)duration));
}

int command_resume(Cli *cli) {
    return with_port(cli, "resume", 0, json_object());
}
