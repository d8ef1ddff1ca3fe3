/* Bytes of one file -> sections and keys, by inih's ini_parse_stream behind a reader of our own.
 *
 * The reader looks at every line before inih does and refuses what inih 55, as Debian builds it, was measured to bend:
 *   - lines: 197 bytes pass; of longer ones the handler gets a value cut short, and the error comes after it;
 *   - section names: cut to 49 bytes without an error; [a]junk and [a]b] lose their tails;
 *   - an indented line repeats the previous key, even where it looks like a header;
 *   - " ;" ends a value as a comment, in a header and in a key it is an error that keeps the old section;
 *   - after a broken header the following keys fall into no section, or into the one before;
 *   - "key: value" counts as a key, so does "= value"; sections without keys are never reported;
 *   - NUL ends a line early; control characters and invalid UTF-8 pass.
 * And what inih makes of an accepted line is compared with what the reader saw: should another build of the library
 * disagree, the line is an error, not a guess. */
#pragma once

#include "config/draft.h"

#define SECTION_NAME_MAX 49
#define KEY_NAME_MAX 49

/* Adds what the file holds to the draft; complains about each bad line and goes on. 0 or -ENOMEM. */
int reader_read(const ConfigFile *file, Draft *draft, Complaints *complaints);
