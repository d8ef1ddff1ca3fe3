/* Standard Webhooks signatures (symmetric, "v1"): HMAC-SHA256 over ID.TIMESTAMP.BODY, by libcrypto. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGN_KEY_MIN 24
#define SIGN_KEY_MAX 64
#define SIGNATURE_MAX 64

/* Takes "whsec_" and base64 of 24 to 64 bytes. */
bool sign_key_parse(const char *secret, unsigned char ret_key[static SIGN_KEY_MAX], size_t *ret_length);

/* Writes "v1,BASE64". False: libcrypto failed. */
bool sign_message(const unsigned char *key, size_t key_length, const char *id, int64_t timestamp, const char *body,
    char signature[static SIGNATURE_MAX]);
