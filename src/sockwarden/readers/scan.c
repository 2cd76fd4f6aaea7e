/* One walk over the lines of an audit log: which are no records, and which a look is worth (scan.py has the contract).
 *
 * Built to a library of its own by hatch_build.py where there is a C compiler; candidates.py does the same without it.
 * Nothing outside [begin, end) is read, nothing is allocated, and texts are told apart by all of their bytes.
 */

#include <stdint.h>
#include <string.h>

#define VERSION 1
#define MOST_NODE 255
#define MOST_WORD 40
#define HEAD 8
#define SLOTS 8192
#define MOST_KNOWN (SLOTS / 2)
#define MOST_TEXT 4096
#define ARENA (1 << 20)

enum kind { OTHER, ADDRESS, HEAD_OF_ADDRESS, SOCKET_FILE, BOOT };

struct text {
    uint64_t hash;
    uint32_t at;
    uint16_t size;
    uint8_t kind;
    uint8_t used;
};

/* Texts of no interest. */
struct known {
    uint32_t count;
    uint32_t filled;
    struct text slots[SLOTS];
    uint8_t arena[ARENA];
};

struct span {
    const uint8_t *from, *to;
};

int32_t sockwarden_scan_version(void) { return VERSION; }

int64_t sockwarden_known_size(void) { return sizeof(struct known); }

void sockwarden_forget(struct known *known)
{
    known->count = known->filled = 0;
    memset(known->slots, 0, sizeof known->slots);
}

static uint64_t hash_of(struct span text, int kind)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)kind; /* FNV-1a, eight bytes at a time */
    const uint8_t *at = text.from;
    for (; text.to - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    for (; at < text.to; at++)
        hash = (hash ^ *at) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The slot of a text, or the free one where it belongs. At most half of all are ever used. */
static struct text *slot_of(struct known *known, struct span text, int kind, uint64_t hash)
{
    size_t size = (size_t)(text.to - text.from);
    for (size_t place = hash % SLOTS;; place = (place + 1) % SLOTS) {
        struct text *slot = &known->slots[place];
        if (!slot->used || (slot->hash == hash && slot->kind == kind && slot->size == size &&
                            !memcmp(known->arena + slot->at, text.from, size)))
            return slot;
    }
}

static int is_known(struct known *known, struct span text, int kind)
{
    if (text.to - text.from > MOST_TEXT)
        return 0;
    return slot_of(known, text, kind, hash_of(text, kind))->used;
}

void sockwarden_know(struct known *known, int kind, const uint8_t *from, int64_t size)
{
    if (size < 0 || size > MOST_TEXT)
        return;
    if (known->count >= MOST_KNOWN || known->filled + size > ARENA)
        sockwarden_forget(known);
    struct span text = {from, from + size};
    uint64_t hash = hash_of(text, kind);
    struct text *slot = slot_of(known, text, kind, hash);
    if (slot->used)
        return;
    *slot = (struct text){hash, known->filled, (uint16_t)size, (uint8_t)kind, 1};
    memcpy(known->arena + known->filled, from, (size_t)size);
    known->filled += (uint32_t)size;
    known->count++;
}

/* Takes a literal from the front. */
static int take(struct span *rest, const char *literal, size_t size)
{
    if ((size_t)(rest->to - rest->from) < size || memcmp(rest->from, literal, size))
        return 0;
    rest->from += size;
    return 1;
}
#define TAKE(rest, literal) take(rest, literal, sizeof literal - 1)

/* Takes what ends with a byte and is 1 to `most` long, and that byte. */
static int take_until(struct span *rest, uint8_t byte, size_t most, struct span *taken)
{
    size_t size = (size_t)(rest->to - rest->from);
    const uint8_t *end = memchr(rest->from, byte, size <= most ? size : most + 1);
    if (!end || end == rest->from)
        return 0;
    *taken = (struct span){rest->from, end};
    rest->from = end + 1;
    return 1;
}

/* `node=NAME type=TYPE msg=audit(STAMP)`, as HEADER in candidates.py: the type, with the rest of the line behind. */
static int take_header(struct span *line, struct span *type)
{
    struct span word;
    if (TAKE(line, "node=") && !take_until(line, ' ', MOST_NODE, &word))
        return 0;
    return TAKE(line, "type=") && take_until(line, ' ', MOST_WORD, type) && TAKE(line, "msg=audit(") &&
           take_until(line, ')', MOST_WORD, &word);
}

static int is(struct span text, const char *literal)
{
    size_t size = strlen(literal);
    return (size_t)(text.to - text.from) == size && !memcmp(text.from, literal, size);
}

static const uint8_t *find(struct span text, const char *literal)
{
    return memmem(text.from, (size_t)(text.to - text.from), literal, strlen(literal));
}

/* Looks at a line; its kind, or -1 where it is of no interest. `text` is what the answer depends on. */
static int look(struct known *known, struct span line, int64_t most_line, struct span *text)
{
    struct span rest = line, type;
    *text = line;
    if (line.to - line.from > most_line || !take_header(&rest, &type))
        return OTHER;
    if (is(type, "SOCKADDR")) {
        const uint8_t *field = find(rest, " saddr=");
        if (!field)
            return -1;
        *text = (struct span){field + sizeof " saddr=" - 1, line.to};
        struct span head = {text->from, text->to - text->from > HEAD ? text->from + HEAD : text->to};
        return is_known(known, head, HEAD_OF_ADDRESS) || is_known(known, *text, ADDRESS) ? -1 : ADDRESS;
    }
    if (is(type, "PATH")) {
        if (!find(rest, " mode=014"))
            return -1;
        *text = rest;
        return is_known(known, rest, SOCKET_FILE) ? -1 : SOCKET_FILE;
    }
    return is(type, "SYSTEM_BOOT") || is(type, "KERNEL") ? BOOT : -1;
}

/* Looks at the lines that start in [begin, end), of which each ends with a newline before `end` or there. Writes of each
 * that is of interest its kind, where it starts, and its text; `most` of them. Returns how many, and in `next` where to
 * go on.
 */
int64_t sockwarden_scan(const uint8_t *bytes, int64_t begin, int64_t end, int64_t most_line, struct known *known,
                        int64_t *found, int64_t most, int64_t *next)
{
    int64_t count = 0;
    const uint8_t *at = bytes + begin, *stop = bytes + end;
    while (at < stop && count < most) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(stop - at));
        struct span line = {at, newline ? newline : stop}, text;
        int kind = look(known, line, most_line, &text);
        if (kind >= 0) {
            found[0] = kind;
            found[1] = line.from - bytes;
            found[2] = text.from - bytes;
            found[3] = text.to - bytes;
            found += 4;
            count++;
        }
        at = line.to + 1;
    }
    *next = at < stop ? at - bytes : end;
    return count;
}
