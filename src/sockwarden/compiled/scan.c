/* One walk over the lines of an audit log: which are no records, and which a look is worth (readers/scan.py has the
 * contract; readers/look.py does the same without it). Nothing outside [begin, end) is read, and texts are told apart by
 * all of their bytes.
 */

#include "lines.h"

#define HEAD 8
#define SLOTS 8192
#define MOST_KNOWN (SLOTS / 2)
#define MOST_TEXT 4096
#define ARENA (1 << 20)
#define MOST_NOTED 8192
#define MOST_OF_A_TEXT 32
#define MANY UINT32_MAX

enum kind { OTHER, ADDRESS, HEAD_OF_ADDRESS, SOCKET_FILE, BOOT };

struct text {
    uint64_t hash;
    uint32_t at;
    uint32_t number;
    uint32_t noted;
    uint16_t size;
    uint8_t kind;
    uint8_t used;
};

/* What a walk knows: texts that are not to be told of, and where lines were with such that have a number, in pairs of
 * the number and the place, MANY for all beyond the most of a text. Beyond the most of all they are counted.
 */
struct walk {
    int64_t noted;
    uint32_t pairs[2 * MOST_NOTED];
    uint32_t count;
    uint32_t filled;
    struct text slots[SLOTS];
    uint8_t arena[ARENA];
};

int32_t sockwarden_version(void) { return VERSION; }

int64_t sockwarden_walk_size(void) { return sizeof(struct walk); }

static void forget(struct walk *walk)
{
    walk->count = walk->filled = 0;
    memset(walk->slots, 0, sizeof walk->slots);
}

void sockwarden_begin(struct walk *walk)
{
    walk->noted = 0;
    forget(walk);
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
static struct text *slot_of(struct walk *walk, struct span text, int kind, uint64_t hash)
{
    size_t size = (size_t)(text.to - text.from);
    for (size_t place = hash % SLOTS;; place = (place + 1) % SLOTS) {
        struct text *slot = &walk->slots[place];
        if (!slot->used || (slot->hash == hash && slot->kind == kind && slot->size == size &&
                            !memcmp(walk->arena + slot->at, text.from, size)))
            return slot;
    }
}

static struct text *known(struct walk *walk, struct span text, int kind)
{
    if (text.to - text.from > MOST_TEXT)
        return NULL;
    struct text *slot = slot_of(walk, text, kind, hash_of(text, kind));
    return slot->used ? slot : NULL;
}

void sockwarden_know(struct walk *walk, int kind, const uint8_t *from, int64_t size, uint32_t number)
{
    if (size < 0 || size > MOST_TEXT)
        return;
    if (walk->count >= MOST_KNOWN || walk->filled + size > ARENA)
        forget(walk);
    struct span text = {from, from + size};
    uint64_t hash = hash_of(text, kind);
    struct text *slot = slot_of(walk, text, kind, hash);
    if (slot->used)
        return;
    *slot = (struct text){hash, walk->filled, number, 0, (uint16_t)size, (uint8_t)kind, 1};
    memcpy(walk->arena + walk->filled, from, (size_t)size);
    walk->filled += (uint32_t)size;
    walk->count++;
}

static void note(struct walk *walk, struct text *slot, uint32_t place)
{
    if (slot->noted > MOST_OF_A_TEXT)
        return;
    if (walk->noted < MOST_NOTED) {
        walk->pairs[2 * walk->noted] = slot->number;
        walk->pairs[2 * walk->noted + 1] = slot->noted < MOST_OF_A_TEXT ? place : MANY;
    }
    slot->noted++;
    walk->noted++;
}

/* An address up to the NUL behind a Unix socket's name: what follows lay in the caller's memory, and says nothing. */
static struct span name_of(struct span address)
{
    struct span name = address;
    if (!(TAKE(&name, "0100") || TAKE(&name, "0001")) || TAKE(&name, "00"))
        return address;
    for (const uint8_t *at = name.from; name.to - at >= 2 && is_upper_hex(at[0]) && is_upper_hex(at[1]); at += 2)
        if (at[0] == '0' && at[1] == '0')
            return (struct span){address.from, at};
    return address;
}

/* Where an address stands in a SOCKADDR record, behind its header; NULL for nowhere. */
static const uint8_t *address_in(struct span rest)
{
    struct span plain = rest;
    if (TAKE(&plain, ": saddr="))
        return plain.from;
    const uint8_t *field = FIND(rest, " saddr=");
    return field ? field + sizeof " saddr=" - 1 : NULL;
}

/* Whether a PATH record, behind its header, is of a socket file. Most are read as the kernel prints them (audit_log_name in
 * kernel/auditsc.c), which takes a third of the time of a search.
 */
static int is_socket_file(struct span rest)
{
    struct span at = rest, word;
    if (TAKE(&at, ": item=") && take_until(&at, ' ', 4, &word) && TAKE(&at, "name=")) {
        int is_quoted = TAKE(&at, "\"");
        if (take_until(&at, is_quoted ? '"' : ' ', size_of(at), &word) && (!is_quoted || TAKE(&at, " ")) &&
            TAKE(&at, "inode=") && take_until(&at, ' ', 20, &word) && TAKE(&at, "dev=") &&
            take_until(&at, ' ', 20, &word) && TAKE(&at, "mode="))
            return TAKE(&at, "014");
    }
    return FIND(rest, " mode=014") != NULL;
}

/* Looks at a line; its kind, or -1 where it is not to be told of. `text` is what the answer depends on, `slot` that of
 * a text that is known.
 */
static int look(struct walk *walk, struct span line, int64_t most_line, struct span *text, struct text **slot)
{
    struct span rest = line, node, type, stamp;
    int kind;
    *text = line;
    *slot = NULL;
    if (line.to - line.from > most_line || !take_header(&rest, &node, &type, &stamp))
        return OTHER;
    if (IS(type, "SOCKADDR") || IS(type, "UNKNOWN[1306]")) {
        const uint8_t *address = address_in(rest);
        if (!address)
            return -1;
        *text = name_of((struct span){address, line.to});
        struct span head = {text->from, text->to - text->from > HEAD ? text->from + HEAD : text->to};
        *slot = known(walk, head, HEAD_OF_ADDRESS);
        kind = ADDRESS;
    } else if (IS(type, "PATH") || IS(type, "UNKNOWN[1302]")) {
        if (!is_socket_file(rest))
            return -1;
        *text = rest;
        kind = SOCKET_FILE;
    } else {
        return IS(type, "SYSTEM_BOOT") || IS(type, "KERNEL") ? BOOT : -1;
    }
    if (!*slot)
        *slot = known(walk, *text, kind);
    return *slot ? -1 : kind;
}

/* Looks at the lines that start in [begin, end), of which each ends with a newline before `end` or there. Writes of each
 * that is to be told of its kind, where it starts, and its text; `most` of them. Places of others that are noted are
 * counted from `base`. Returns how many were told of, and in `next` where to go on.
 */
int64_t sockwarden_scan(struct walk *walk, const uint8_t *bytes, int64_t begin, int64_t end, int64_t base,
                        int64_t most_line, int64_t *found, int64_t most, int64_t *next)
{
    int64_t count = 0;
    const uint8_t *at = bytes + begin, *stop = bytes + end;
    while (at < stop && count < most) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(stop - at));
        struct span line = {at, newline ? newline : stop}, text;
        struct text *slot;
        int kind = look(walk, line, most_line, &text, &slot);
        if (slot && slot->number)
            note(walk, slot, (uint32_t)(base + (line.from - bytes)));
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
