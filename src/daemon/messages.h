/* The classes of messages in the journal: name, MESSAGE_ID, level as in syslog(3). systemd/portwatch.catalog explains
 * each, and a test compares the two. An id never changes, for scripts look for it. */
#pragma once

#include <syslog.h>

#define JOURNAL_MESSAGES(X)                                                                                            \
    X(STARTED, "60c99e4b88cb4a94b8f55a565f3e630e", LOG_NOTICE)                                                         \
    X(STOPPING, "81e8870ee1864573b68fec38ab1044f4", LOG_NOTICE)                                                        \
    X(START_FAILED, "b5ef6cedf5ac440591fafb96d7d14dbc", LOG_ERR)                                                       \
    X(NO_NOTIFIER, "632f56061978449a9d162ef4290e1324", LOG_NOTICE)                                                     \
    X(LEARNED, "32f6a786dc2e48bf99fe49be36becd48", LOG_NOTICE)                                                         \
    X(OPENED, "8140fc87c67347b5a751ab7063b47418", LOG_WARNING)                                                         \
    X(CHANGED, "510ae719c1134e6fa0764d694566f11c", LOG_WARNING)                                                        \
    X(REMINDER, "396bb236b6b34e6e82f6eb66cbb1d07d", LOG_WARNING)                                                       \
    X(RESOLVED, "f52404c1e2e04452a7d7f6f120743823", LOG_NOTICE)                                                        \
    X(UNTOLD, "1d704128ca0d468fb09ecf510dc7e354", LOG_NOTICE)                                                          \
    X(DECIDED, "59995e5bbf4b47d2b762359587ae3019", LOG_NOTICE)                                                         \
    X(BLIND, "aab122fd0031416291a0ef2bbd4fb160", LOG_CRIT)                                                             \
    X(SEEING, "61b191c7c8114d4183f544be3f45f3cd", LOG_NOTICE)                                                          \
    X(COVERAGE, "c09539cf468b4f9ab28eabca04efcfd5", LOG_WARNING)                                                       \
    X(RELOADED, "608961707d9d466b9dcbd585dd73ef2a", LOG_NOTICE)                                                        \
    X(RELOAD_REFUSED, "4fe05a88c01c4e458ffcf73093fb6be0", LOG_ERR)                                                     \
    X(LAST_GOOD, "cd483c4a1fa74c0995e0a4f096244345", LOG_WARNING)                                                      \
    X(CONFIG_UNUSABLE, "85abf8914d994fb2863a93b2cb3ed0dc", LOG_ERR)                                                    \
    X(CONFIG_WARNING, "bc014bb12b754b678c75ef6e71401b52", LOG_WARNING)                                                 \
    X(DELIVERED, "8f2caa85d688456d8d830f572ed82b5c", LOG_INFO)                                                         \
    X(NOTIFIER_FAILING, "36587c5f463a48d5af0ed35d0421f3d7", LOG_WARNING)                                               \
    X(NOTIFIER_WORKS, "57ef3d64f5ad4fe597ecf4a60cbae827", LOG_NOTICE)                                                  \
    X(MESSAGE_REFUSED, "19fcef008f2b437cbbdef6822bf3ed65", LOG_ERR)                                                    \
    X(PLUGIN_CRASHED, "38b4311bf06f4ea8afb573664af1110b", LOG_WARNING)                                                 \
    X(PLUGIN_SAYS, "172326a4861b40568da1cc905e029a7d", LOG_INFO)                                                       \
    X(WALL_MISSING, "a747874750d547cb80bb6eeb9d30838b", LOG_WARNING)                                                   \
    X(DATABASE_FAILING, "f0d2a8d3ddbe48cb8824ff9387ae9c86", LOG_ERR)                                                   \
    X(DATABASE_WORKS, "676a1c5f9c224879bcf52df264384629", LOG_NOTICE)                                                  \
    X(DATABASE_ASIDE, "f07534be91aa4657964e33b78b9ddf20", LOG_ERR)                                                     \
    X(DATABASE_NEWER, "6ac51f12189a44718cdd08da4e3ac9e2", LOG_ERR)                                                     \
    X(DATABASE_UNUSABLE, "498fa3b4c6a24da6b64650e59d8dd844", LOG_ERR)                                                  \
    X(TROUBLE, "ffef98fb7541452281cf63e90bb096d1", LOG_ERR)

#define JOURNAL_NAME(name, id, level) JOURNAL_##name,
typedef enum JournalMessage { JOURNAL_MESSAGES(JOURNAL_NAME) JOURNAL_MAX } JournalMessage;
#undef JOURNAL_NAME
