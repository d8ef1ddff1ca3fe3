#include "plugins/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Not EVP_DecodeBlock: it takes blanks and counts padding as data. */
bool sign_key_parse(const char *secret, unsigned char ret_key[static SIGN_KEY_MAX], size_t *ret_length) {
    static const char prefix[] = "whsec_";
    if (strncmp(secret, prefix, strlen(prefix)) != 0) return false;
    const char *p = secret + strlen(prefix);
    size_t n = 0;
    unsigned bits = 0, count = 0, digits = 0;
    for (; digit(*p) >= 0; p++, digits++) {
        bits = bits << 6 | (unsigned)digit(*p);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        if (n == SIGN_KEY_MAX) return false;
        ret_key[n++] = (unsigned char)(bits >> count);
    }
    size_t padding = strspn(p, "=");
    if (p[padding] || digits % 4 == 1 || (padding > 0 && (digits + padding) % 4 != 0) || n < SIGN_KEY_MIN) return false;
    *ret_length = n;
    return true;
}

bool sign_message(const unsigned char *key, size_t key_length, const char *id, int64_t timestamp, const char *body,
    char signature[static SIGNATURE_MAX]) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_length = 0;
    char *content = NULL;
    int length = asprintf(&content, "%s.%lld.%s", id, (long long)timestamp, body);
    if (length < 0) return false;
    bool good =
        HMAC(EVP_sha256(), key, (int)key_length, (unsigned char *)content, (size_t)length, mac, &mac_length) != NULL;
    free(content);
    if (!good || mac_length != 32) return false;
    memcpy(signature, "v1,", 3);
    EVP_EncodeBlock((unsigned char *)signature + 3, mac, 32);
    return true;
}
