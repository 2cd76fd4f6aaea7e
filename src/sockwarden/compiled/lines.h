/* Lines of an audit log as auditd writes it, as HEADER in readers/look.py: spans of bytes, and taking from their front. */

#ifndef SOCKWARDEN_LINES_H
#define SOCKWARDEN_LINES_H

#include <stdint.h>
#include <string.h>

#define VERSION 4
#define MOST_NODE 255
#define MOST_WORD 40

struct span {
    const uint8_t *from, *to;
};

static inline size_t size_of(struct span text) { return (size_t)(text.to - text.from); }

static inline int is_same(struct span one, struct span other)
{
    return size_of(one) == size_of(other) && !memcmp(one.from, other.from, size_of(one));
}

__attribute__((always_inline)) static inline int is_literal(struct span text, const char *literal, size_t size)
{
    return size_of(text) == size && !memcmp(text.from, literal, size);
}
#define IS(text, literal) is_literal(text, literal, sizeof literal - 1)

static inline const uint8_t *find_literal(struct span text, const char *literal, size_t size)
{
    return memmem(text.from, size_of(text), literal, size);
}
#define FIND(text, literal) find_literal(text, literal, sizeof literal - 1)

/* Takes a literal from the front. */
__attribute__((always_inline)) static inline int take_literal(struct span *rest, const char *literal, size_t size)
{
    if (size_of(*rest) < size || memcmp(rest->from, literal, size))
        return 0;
    rest->from += size;
    return 1;
}
#define TAKE(rest, literal) take_literal(rest, literal, sizeof literal - 1)

/* Takes what ends with a byte and is 1 to `most` long, and that byte. */
static inline int take_until(struct span *rest, uint8_t byte, size_t most, struct span *taken)
{
    size_t size = size_of(*rest);
    const uint8_t *end = memchr(rest->from, byte, size <= most ? size : most + 1);
    if (!end || end == rest->from)
        return 0;
    *taken = (struct span){rest->from, end};
    rest->from = end + 1;
    return 1;
}

static inline int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
static inline int is_upper_hex(uint8_t byte) { return is_digit(byte) || (byte >= 'A' && byte <= 'F'); }

/* Takes the longest run of bytes, if it is 1 to `most` long. */
static inline int take_run(struct span *rest, int (*is)(uint8_t), size_t most, struct span *taken)
{
    const uint8_t *at = rest->from;
    while (at < rest->to && is(*at))
        at++;
    *taken = (struct span){rest->from, at};
    rest->from = at;
    return size_of(*taken) && size_of(*taken) <= most;
}

static inline int take_digits(struct span *rest, size_t most)
{
    struct span taken;
    return take_run(rest, is_digit, most, &taken);
}

/* Digits that end with a byte, as a number. */
static inline int take_number(struct span *rest, uint8_t end, size_t most, size_t least, int64_t *number)
{
    struct span digits;
    if (!take_run(rest, is_digit, most, &digits) || size_of(digits) < least || rest->from == rest->to ||
        *rest->from != end)
        return 0;
    rest->from++;
    for (*number = 0; digits.from < digits.to; digits.from++)
        *number = 10 * *number + (*digits.from - '0');
    return 1;
}

/* `node=NAME type=TYPE msg=audit(STAMP)`: what stands before the type, the type, and the stamp in its brackets, with the
 * rest of the line behind.
 */
static inline int take_header(struct span *line, struct span *node, struct span *type, struct span *stamp)
{
    struct span word;
    *node = (struct span){line->from, line->from};
    if (!TAKE(line, "type=")) {
        if (!TAKE(line, "node=") || !take_until(line, ' ', MOST_NODE, &word))
            return 0;
        node->to = line->from;
        if (!TAKE(line, "type="))
            return 0;
    }
    if (!take_until(line, ' ', MOST_WORD, type) || !TAKE(line, "msg=audit("))
        return 0;
    return take_until(line, ')', MOST_WORD, stamp);
}

/* What is written: where it began, and where it goes on unless there is no room. */
struct out {
    uint8_t *from, *at, *end;
    int is_full;
};

static inline void put(struct out *out, struct span text)
{
    if (out->is_full || (size_t)(out->end - out->at) < size_of(text)) {
        out->is_full = 1;
        return;
    }
    memcpy(out->at, text.from, size_of(text));
    out->at += size_of(text);
}
#define PUT(out, literal) put(out, (struct span){(const uint8_t *)(literal), (const uint8_t *)(literal) + sizeof literal - 1})

/* Of the lines of an event writes what it has in common with those that are alike, and what is its own, as pieces between
 * newlines; and tells its moment, in milliseconds since the epoch, and its number. Returns where the first ends, or 0 where
 * nothing is told, and nothing was written unless there was no room (likeness.c).
 */
int64_t sockwarden_likeness(struct span text, struct out *out, int64_t *time, int64_t *serial)
    __attribute__((visibility("hidden")));

#endif
