#include "core/message.h"

#include <stdlib.h>
#include <string.h>

void message_done(Message *message) {
    free(message->notifier);
    free(message->host);
    free(message->subject);
    free(message->text);
    free(message->document);
    strv_free(message->references);
    memset(message, 0, sizeof *message);
}

void delivery_done(Delivery *delivery) {
    free(delivery->recipient);
    free(delivery->reason);
    memset(delivery, 0, sizeof *delivery);
}
