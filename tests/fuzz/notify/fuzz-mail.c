/* Whatever a message holds: no line over 998, no bare CR or LF, no header but ours, no control characters. The input is
 * subject, text, host, id and one reference, separated by NUL. */
#include <stdlib.h>
#include <string.h>

#include "plugins/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header_try(const char *line, size_t length) {
    static const char *const ours[] = {"Date: ", "From: a@b", "To: c@d", "Subject:", "Message-ID: <", "References: <",
        "In-Reply-To: <", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: "};
    if (line[0] == ' ' && length > 1) return;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strncmp(line, ours[i], strlen(ours[i])) == 0) return;
    abort();
}

static void mail_try(const char *mail) {
    int inside = 1;
    for (const char *line = mail; *line;) {
        size_t length = strcspn(line, "\r\n");
        if (line[length] != '\r' || line[length + 1] != '\n' || length > 998) abort();
        for (size_t i = 0; i < length; i++)
            if ((unsigned char)line[i] >= 0x7f || ((unsigned char)line[i] < 0x20 && line[i] != '\t')) abort();
        if (inside && length == 0)
            inside = 0;
        else if (inside)
            header_try(line, length);
        line += length + 2;
    }
    if (inside) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const to[] = {"c@d", NULL};
    char *input = malloc(size + 5), *fields[5];
    if (!input) return 0;
    if (size > 0) memcpy(input, data, size);
    memset(input + size, 0, 5);
    char *p = input;
    for (size_t i = 0; i < 5; i++) {
        fields[i] = p;
        if (p < input + size) p += strlen(p) + 1;
        if (p > input + size) p = input + size;
    }
    const char *const references[] = {fields[4], NULL};
    pw_message message = {.size = sizeof(message),
        .id = fields[3],
        .notifier = "n",
        .host = fields[2],
        .formed_usec = (int64_t)size * 1000000000,
        .subject = fields[0],
        .text = fields[1],
        .document = "{}",
        .references = references};
    char *mail = mail_form(&message, "a@b", to), *again = mail_form(&message, "a@b", to);
    if (!mail || !again || strcmp(mail, again) != 0) abort();
    mail_try(mail);
    free(mail);
    free(again);
    free(input);
    return 0;
}
