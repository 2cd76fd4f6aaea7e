/* The lines of events around places in a log (readers/around.py has the contract, and does the same without it). */

#include "lines.h"

#include <unistd.h>

#define NEAR (3 << 10)
#define FAR (1 << 14)
#define MOST_LINES 64

/* What was met of an event's records; without a SYSCALL record, or with several, items is -1. */
struct met {
    int64_t calls, items, paths, titles, directories, addresses;
};

static int64_t items_of(struct span line)
{
    const uint8_t *field = FIND(line, " items=");
    if (!field)
        return -1;
    struct span rest = {field + sizeof " items=" - 1, line.to};
    int64_t items;
    return take_number(&rest, ' ', 4, 1, &items) ? items : -1;
}

static void meet(struct met *met, struct span type, struct span line)
{
    if (IS(type, "SYSCALL"))
        met->items = met->calls++ ? -1 : items_of(line);
    else if (IS(type, "PATH"))
        met->paths++;
    else if (IS(type, "PROCTITLE"))
        met->titles++;
    else if (IS(type, "CWD"))
        met->directories++;
    else if (IS(type, "SOCKADDR"))
        met->addresses++;
}

/* An event in a piece: what names it in the line that called for it, its node and its stamp; and its lines. */
struct found {
    struct span node, stamp, lines[MOST_LINES];
    int64_t count;
    int has_address;
};

/* Finds the event of the line that starts at `at`, in a piece of which nothing before `first` may be taken. None where its
 * lines are not all that it announces, or where one may be cut off or begin before `first`.
 */
static int gather(const uint8_t *text, int64_t size, int64_t at, int64_t first, struct found *found)
{
    const uint8_t *stop = text + size, *line = memchr(text, '\n', (size_t)size), *end;
    struct span here = {text + at, stop}, node, stamp, type, own_node, own;
    if ((end = memchr(here.from, '\n', size_of(here))))
        here.to = end;
    if (!line || !take_header(&here, &node, &type, &stamp) ||
        memmem(text, (size_t)(line - text), stamp.from, size_of(stamp)))
        return 0;
    struct met met = {.items = -1};
    found->count = 0;
    for (line++; line < stop;) {
        const uint8_t *newline = memchr(line, '\n', (size_t)(stop - line));
        struct span whole = {line, newline ? newline : stop}, rest = whole;
        line = whole.to + 1;
        if (!take_header(&rest, &own_node, &type, &own) || !is_same(own, stamp) || !is_same(own_node, node))
            continue;
        if (!newline || whole.from - text < first || found->count == MOST_LINES)
            return 0;
        found->lines[found->count++] = whole;
        meet(&met, type, whole);
    }
    found->node = node;
    found->stamp = (struct span){stamp.from - (sizeof "audit(" - 1), stamp.to + 1};
    found->has_address = met.addresses > 0;
    return met.items >= 0 && met.paths >= met.items && met.titles && (!met.paths || met.directories);
}

/* Where to read: a plain file and its size, in which the place 0 is at `origin`; nothing before that is to be taken. */
struct around {
    int64_t file, size, origin;
};

/* What is told of a place: where texts are among the bytes that are written. Without a text its event is not known. Of
 * lines that do not lie together `behind` is 0. Where `shared` has no end no likeness is told.
 */
struct told {
    int64_t has_address, behind, text, text_end, stamp_end, shared_end, own_end, time, serial;
};

/* Finds the event of a place in what lies as near to it; where the file ends there, what comes is in another. */
static int found_near(const struct around *around, int64_t place, int64_t near, uint8_t *piece, struct found *found,
                      int64_t *offset)
{
    int64_t at = around->origin + place, begin = at - near;
    *offset = begin - around->origin;
    if (begin < 0 || at + near > around->size || pread((int)around->file, piece, (size_t)(2 * near), begin) != 2 * near)
        return 0;
    return gather(piece, 2 * near, near, -*offset, found);
}

/* Writes an event's lines, its node and stamp, and what makes it alike others. */
static void write_event(const struct found *found, int with_likeness, struct out *out, struct told *told)
{
    told->text = out->at - out->from;
    for (int64_t number = 0; number < found->count; number++) {
        if (number)
            PUT(out, "\n");
        put(out, found->lines[number]);
    }
    told->text_end = out->at - out->from;
    put(out, found->node);
    put(out, found->stamp);
    told->stamp_end = told->shared_end = told->own_end = out->at - out->from;
    struct span text = {out->from + told->text, out->from + told->text_end};
    if (!with_likeness || out->is_full)
        return;
    int64_t end = sockwarden_likeness(text, out, &told->time, &told->serial);
    if (end) {
        told->shared_end = end;
        told->own_end = out->at - out->from;
    }
}

/* Of places in order where lines start that call for their events, tells of these, and writes them to `to`. Returns of
 * how many it told before there was no more room, of one at least.
 */
int64_t sockwarden_gather(const struct around *around, const int64_t *places, int64_t count, int with_likeness,
                          uint8_t *to, int64_t room, struct told *told)
{
    uint8_t piece[2 * FAR];
    struct found found = {.count = 0};
    struct out out = {to, to, to + room, 0};
    int64_t starts[MOST_LINES], known = 0;
    for (int64_t number = 0; number < count; number++) {
        int64_t offset, line = 0;
        while (line < known && starts[line] != places[number])
            line++;
        if (line < known) {
            told[number] = told[number - 1]; /* another line of the same event */
            continue;
        }
        told[number] = (struct told){0};
        known = 0;
        if (!found_near(around, places[number], NEAR, piece, &found, &offset) &&
            !found_near(around, places[number], FAR, piece, &found, &offset))
            continue;
        uint8_t *before = out.at;
        write_event(&found, with_likeness, &out, &told[number]);
        if (out.is_full) {
            told[number] = (struct told){0};
            if (number)
                return number;
            out = (struct out){to, before, to + room, 0};
            continue;
        }
        told[number].has_address = found.has_address;
        told[number].behind = found.lines[found.count - 1].to + 1 - piece + offset;
        for (; known < found.count; known++) {
            starts[known] = found.lines[known].from - piece + offset;
            if (known && found.lines[known].from != found.lines[known - 1].to + 1)
                told[number].behind = 0;
        }
    }
    return count;
}
