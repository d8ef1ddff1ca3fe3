/* Prints every sample as JSON, a line each; with an argument as mails, for people who work on the prose. */
#include <stdio.h>

#include "notify/prose.h"
#include "samples.h"

int main(int argc, char **argv) {
    sample_zone();
    Event events[SAMPLES_MAX];
    json_t *documents[SAMPLES_MAX];
    size_t n = sample_all(events);
    ProseOptions options = {.host = "db1.example.com", .formed = SAMPLE_TIME + 12 * USEC_PER_SEC, .detail_full = true};
    for (size_t i = 0; i < n; i++) {
        documents[i] = sample_document(&events[i]);
        if (!documents[i]) return 1;
        char *text = document_text(documents[i]), *subject = NULL, *body = NULL;
        if (argc > 1 && prose_message(&documents[i], 1, &options, &subject, &body) == 0)
            printf("%s\n\n%s\n========\n", subject, body);
        else
            puts(text);
        free(text);
        free(subject);
        free(body);
    }
    char *subject = NULL, *body = NULL, *text = document_batch(documents, n);
    if (argc > 1 && prose_message(documents, n, &options, &subject, &body) == 0)
        printf("%s\n\n%s", subject, body);
    else
        puts(text);
    free(subject);
    free(body);
    free(text);
    for (size_t i = 0; i < n; i++) {
        json_decref(documents[i]);
        event_done(&events[i]);
    }
    return 0;
}
