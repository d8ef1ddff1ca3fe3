/* In portwatch-cause's place, doing what the unit's name asks for: the client must live with all of it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cause/child.h"
#include "cause/question.h"
#include "core/cleanup.h"
#include "core/text.h"

static const char document[] =
    "{\"unit\":\"%s\",\"state\":null,\"sub\":null,\"result\":null,\"exit\":null,\"signal\":null,\"restarts\":null,"
    "\"since\":null,\"process\":null,\"oom\":false,\"summary\":\"a\",\"journal\":[],\"missing\":null}";

static void answer(uint64_t id, bool final, const char *unit) {
    _cleanup_free_ char *text = NULL;
    _cleanup_(cause_answer_done) CauseAnswer made = {.fate = FATE_STOPPED, .document = text_printf(document, unit)};
    if (cause_answer_print(id, final, &made, &text) == 0) send(CAUSE_SOCKET, text, strlen(text), MSG_NOSIGNAL);
}

int main(void) {
    for (;;) {
        char bytes[QUESTION_BYTES_MAX];
        CauseQuestion q;
        uint64_t id;
        ssize_t n = recv(CAUSE_SOCKET, bytes, sizeof(bytes), 0);
        if (n <= 0 || cause_question_parse(bytes, (size_t)n, &id, &q) < 0) return 0;
        bool slow = strcmp(q.unit, "slow.service") == 0, falls = strcmp(q.unit, "falls.service") == 0;
        if (slow || falls || strcmp(q.unit, "twice.service") == 0) answer(id, false, "so-far.service");
        if (slow) pause();
        if (falls) return 4;
        if (strcmp(q.unit, "crash.service") == 0) raise(SIGUSR1);
        if (strcmp(q.unit, "exit.service") == 0) return 3;
        if (strcmp(q.unit, "hang.service") == 0) pause();
        if (strcmp(q.unit, "nonsense.service") == 0) send(CAUSE_SOCKET, "{]", 2, MSG_NOSIGNAL);
        if (strcmp(q.unit, "other.service") == 0) id += 1000;
        if (strcmp(q.unit, "nothing.service") != 0) answer(id, true, q.unit);
    }
}
