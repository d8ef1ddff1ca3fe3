/* The firewall's rules that name the port, quoted as nft(8) writes them. Nobody evaluates them here: whether a packet
 * gets through also depends on what stands before and after. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "cli/explain.h"

#define NFT_WAIT (5 * USEC_PER_SEC)
#define RULESET_MAX ((size_t)16 << 20)

static bool file_has_text(const char *path) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    return file && fgetc(file) != EOF;
}

int explain_firewall(Firewall *firewall) {
    static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"};
    _cleanup_free_ char *out = NULL, *error = NULL;
    int r = -ENOENT;
    for (size_t i = 0; r == -ENOENT && i < ELEMENTSOF(paths); i++) {
        char *arguments[] = {(char *)paths[i], "-n", "list", "ruleset", NULL};
        r = program_run(arguments, NFT_WAIT, RULESET_MAX, &out, &error);
    }
    if (r == -ENOMEM) return r;
    firewall->legacy = file_has_text("/proc/net/ip_tables_names") || file_has_text("/proc/net/ip6_tables_names");
    if (r == 0) {
        firewall->ruleset = out ? TAKE_PTR(out) : strdup("");
        return firewall->ruleset ? 0 : -ENOMEM;
    }
    if (r == -ENOENT)
        firewall->reason = strdup("nft is not installed");
    else if (r < 0)
        firewall->reason = text_printf("nft: %s", r == -E2BIG ? "its answer is too long" : strerror(-r));
    else
        firewall->reason = text_printf("nft: %s", error && *error ? error : "failed");
    return firewall->reason ? 0 : -ENOMEM;
}

/* A word of nft's output; braces and commas stand alone, a quoted string is one word. */
typedef struct Word {
    const char *start;
    size_t n;
} Word;

static bool next_word(const char **at, Word *ret) {
    const char *p = *at;
    while (*p == ' ' || *p == '\t') p++;
    if (!*p || *p == '\n') {
        *at = p;
        return false;
    }
    const char *start = p;
    if (*p == '"') {
        p++;
        while (*p && *p != '\n' && *p != '"') p++;
        if (*p == '"') p++;
    } else if (strchr("{},", *p))
        p++;
    else
        while (*p && !strchr(" \t\n{},\"", *p)) p++;
    *ret = (Word){start, (size_t)(p - start)};
    *at = p;
    return true;
}

static bool word_is(Word word, const char *text) {
    return strlen(text) == word.n && memcmp(word.start, text, word.n) == 0;
}

static bool number(const char **at, const char *end, unsigned *ret) {
    unsigned value = 0;
    const char *p = *at;
    for (; p < end && isdigit((unsigned char)*p) && p - *at < 6; p++) value = value * 10 + (unsigned)(*p - '0');
    if (p == *at) return false;
    *at = p;
    *ret = value;
    return true;
}

/* "7071" or "7000-7100". */
static bool covers(const char *p, size_t n, unsigned port) {
    const char *end = p + n;
    unsigned first, last;
    if (!number(&p, end, &first)) return false;
    last = first;
    if (p < end && *p == '-') {
        p++;
        if (!number(&p, end, &last)) return false;
    }
    return p == end && first <= port && port <= last;
}

/* Sets of ports that hold this one, of the table at hand. */
typedef struct Reader {
    Protocol protocol;
    uint16_t port;
    char table[256], object[256], hook[64];
    bool is_set, services, elements, holds; /* of the set that is being read */
    char **sets;
    Quotes quotes;
} Reader;

/* The port in "{ 22, 7000-7100 : jump x, 10.0.0.1 . 7071 }", from the brace on; nothing is told by where it stands in
 * an element. */
static bool braces_hold(const char *at, unsigned port) {
    Word word;
    while (next_word(&at, &word) && !word_is(word, "}"))
        if (covers(word.start, word.n, port)) return true;
    return false;
}

static bool set_holds(const Reader *reader, Word word) {
    for (char **set = reader->sets; set && *set; set++)
        if (word.n == strlen(*set) + 1 && memcmp(word.start + 1, *set, word.n - 1) == 0) return true;
    return false;
}

/* What stands behind "dport": a comparison, a concatenation's other parts, then a value. */
static bool value_names(const Reader *reader, const char *at) {
    Word word, compare = {0};
    unsigned value;
    while (next_word(&at, &word)) {
        if (*word.start == '{') return braces_hold(at, reader->port);
        if (*word.start == '@') return set_holds(reader, word);
        if (*word.start == '<' || *word.start == '>') compare = word;
        const char *p = word.start;
        if (!number(&p, word.start + word.n, &value)) continue;
        if (!compare.n) return covers(word.start, word.n, reader->port);
        bool equal = compare.n == 2 && value == reader->port;
        return equal || (*compare.start == '<' ? reader->port < value : reader->port > value);
    }
    return false;
}

static bool protocol_fits(Protocol protocol, Word word) {
    return word_is(word, protocol_name(protocol)) || word_is(word, "th") || word_is(word, "original") ||
           word_is(word, "reply");
}

/* "dnat to 10.0.0.1:7071", "redirect to :7071", "dnat ip6 to [2001:db8::1]:7071". */
static bool target_names(const Reader *reader, Word word) {
    for (size_t i = word.n; i-- > 0;) {
        if (word.start[i] != ':') continue;
        bool numeric = i == 0 || word.start[i - 1] == ']' || memchr(word.start, '.', i);
        return numeric && covers(word.start + i + 1, word.n - i - 1, reader->port);
    }
    return false;
}

/* As the port that packets go to. */
static bool rule_matches(const Reader *reader, const char *line) {
    Word word, before = {0};
    for (const char *at = line; next_word(&at, &word); before = word)
        if ((word_is(word, "dport") || word_is(word, "proto-dst")) && before.n &&
            protocol_fits(reader->protocol, before) && value_names(reader, at))
            return true;
    return false;
}

/* As the port that packets are sent on to. */
static bool rule_targets(const Reader *reader, const char *line) {
    Word word, before = {0};
    for (const char *at = line; next_word(&at, &word); before = word)
        if (before.n && word_is(before, "to") && target_names(reader, word)) return true;
    return false;
}

static bool line_has(const char *line, const char *wanted) {
    Word word;
    for (const char *at = line; next_word(&at, &word);)
        if (word_is(word, wanted)) return true;
    return false;
}

static int quote(Reader *reader, const char *line, bool policy, bool forwards) {
    Quotes *quotes = &reader->quotes;
    if (quotes->n == QUOTES_MAX) {
        quotes->more++;
        return 0;
    }
    Quote *longer = reallocarray(quotes->items, quotes->n + 1, sizeof *longer);
    if (!longer) return -ENOMEM;
    quotes->items = longer;
    _cleanup_free_ char *where = text_printf("%s %s%s%s%s", reader->table, reader->object, *reader->hook ? " (" : "",
        reader->hook, *reader->hook ? ")" : "");
    Quote one = {.where = where ? text_escape(where, strlen(where)) : NULL,
        .text = text_escape(line, strcspn(line, "\n")),
        .policy = policy,
        .forwards = forwards};
    longer[quotes->n++] = one;
    return one.where && one.text ? 0 : -ENOMEM;
}

static void copy_words(const char *at, size_t words, char *ret, size_t size) {
    Word word;
    *ret = '\0';
    for (size_t i = 0; i < words && next_word(&at, &word) && *word.start != '{'; i++) {
        size_t n = strlen(ret);
        snprintf(ret + n, size - n, "%s%.*s", i ? " " : "", (int)word.n, word.start);
    }
}

/* A line inside of a set or map. Elements may go over many lines. */
static int read_set(Reader *reader, const char *line) {
    if (line_has(line, "type") || line_has(line, "typeof"))
        reader->services = line_has(line, "inet_service") || line_has(line, "dport");
    if (line_has(line, "elements")) reader->elements = true;
    if (reader->elements && reader->services && !reader->holds && braces_hold(line, reader->port)) {
        reader->holds = true;
        int r = strv_append(&reader->sets, reader->object);
        return r < 0 ? r : quote(reader, line, false, false);
    }
    return 0;
}

static int read_chain(Reader *reader, const char *line) {
    const char *hook = strstr(line, " hook ");
    if (strncmp(line, "type ", 5) == 0 && hook) {
        copy_words(hook + 6, 1, reader->hook, sizeof reader->hook);
        bool drops = strstr(hook, "policy drop;") != NULL && strcmp(reader->hook, "input") == 0;
        return drops ? quote(reader, line, true, false) : 0;
    }
    reader->quotes.opaque += line_has(line, "xt");
    bool matches = rule_matches(reader, line), sends = line_has(line, "dnat") || line_has(line, "redirect");
    if (!matches && !rule_targets(reader, line)) return 0;
    return quote(reader, line, false, matches && sends);
}

static int read_line(Reader *reader, const char *line) {
    Word first;
    const char *at = line;
    if (!next_word(&at, &first)) return 0;
    if (word_is(first, "table")) {
        copy_words(at, 2, reader->table, sizeof reader->table);
        strv_free(TAKE_PTR(reader->sets)); /* a set belongs to its table */
    } else if (word_is(first, "chain") || word_is(first, "set") || word_is(first, "map")) {
        reader->is_set = !word_is(first, "chain");
        reader->services = reader->elements = reader->holds = false;
        *reader->hook = '\0';
        copy_words(at, 1, reader->object, sizeof reader->object);
    } else if (reader->is_set)
        return read_set(reader, first.start);
    else
        return read_chain(reader, first.start);
    return 0;
}

void quotes_done(Quotes *quotes) {
    for (size_t i = 0; i < quotes->n; i++) {
        free(quotes->items[i].where);
        free(quotes->items[i].text);
    }
    free(quotes->items);
    *quotes = (Quotes){0};
}

int quotes_make(const char *ruleset, Protocol protocol, uint16_t port, Quotes *ret) {
    Reader reader = {.protocol = protocol, .port = port};
    int r = 0;
    for (const char *line = ruleset; *line && r >= 0;) {
        r = read_line(&reader, line);
        line += strcspn(line, "\n");
        if (*line) line++;
    }
    strv_free(reader.sets);
    if (r < 0) {
        quotes_done(&reader.quotes);
        return r;
    }
    *ret = reader.quotes;
    return 0;
}
