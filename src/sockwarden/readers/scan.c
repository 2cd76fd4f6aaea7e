/* One walk over the lines of an audit log: which are no records, and which a look is worth (scan.py has the contract).
 *
 * Built to a library of its own by hatch_build.py where there is a C compiler; look.py does the same without it.
 * Nothing outside [begin, end) is read, nothing is allocated, and texts are told apart by all of their bytes.
 */

#include <stdint.h>
#include <string.h>

#define VERSION 3
#define MOST_NODE 255
#define MOST_WORD 40
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

struct span {
    const uint8_t *from, *to;
};

int32_t sockwarden_scan_version(void) { return VERSION; }

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

/* `node=NAME type=TYPE msg=audit(STAMP)`, as HEADER in look.py: the type, with the rest of the line behind. */
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

/* Looks at a line; its kind, or -1 where it is not to be told of. `text` is what the answer depends on, `slot` that of
 * a text that is known.
 */
static int look(struct walk *walk, struct span line, int64_t most_line, struct span *text, struct text **slot)
{
    struct span rest = line, type;
    int kind;
    *text = line;
    *slot = NULL;
    if (line.to - line.from > most_line || !take_header(&rest, &type))
        return OTHER;
    if (is(type, "SOCKADDR")) {
        const uint8_t *field = find(rest, " saddr=");
        if (!field)
            return -1;
        *text = (struct span){field + sizeof " saddr=" - 1, line.to};
        struct span head = {text->from, text->to - text->from > HEAD ? text->from + HEAD : text->to};
        *slot = known(walk, head, HEAD_OF_ADDRESS);
        kind = ADDRESS;
    } else if (is(type, "PATH")) {
        if (!find(rest, " mode=014"))
            return -1;
        *text = rest;
        kind = SOCKET_FILE;
    } else {
        return is(type, "SYSTEM_BOOT") || is(type, "KERNEL") ? BOOT : -1;
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
