/* What makes a connect alike others, by its lines (auditrecords/likeness.py has the contract and the expressions that
 * these functions follow, and does the same without them).
 *
 * Only the common form is told: SYSCALL, SOCKADDR, CWD and PATH records if there are any, PROCTITLE. NO says that it is
 * another one, which may be alike others or not.
 */

#include "lines.h"

#define NO 0
#define MOST_TEXT 8192
#define MOST_UNSIGNED 10
#define FAMILY 4

static int is_hex(uint8_t byte) { return is_digit(byte) || (byte >= 'a' && byte <= 'f'); }
static int is_plain(uint8_t byte) { return byte == '!' || (byte >= '#' && byte <= '~'); }
static int is_plain_name(uint8_t byte) { return is_plain(byte) && byte != '\\'; }
static int is_tty(uint8_t byte) { return is_plain(byte) && byte != '\''; }
static int is_of_label(uint8_t byte) { return byte != 0x1d; }

/* A process's number, as the kernel prints it. */
static int take_pid(struct span *rest, struct span *taken)
{
    return take_run(rest, is_digit, MOST_UNSIGNED, taken) && (*taken->from != '0' || size_of(*taken) == 1);
}

static int take_pointer(struct span *rest)
{
    struct span taken;
    return take_run(rest, is_hex, 16, &taken);
}

/* A string as audit_log_n_untrustedstring prints it: _STRING. */
static int take_string(struct span *rest, struct span *taken)
{
    struct span start = *rest, plain;
    if (TAKE(rest, "\"")) {
        (void)take_run(rest, is_plain, SIZE_MAX, &plain);
        if (!TAKE(rest, "\""))
            return 0;
        *taken = (struct span){start.from, rest->from};
        return 1;
    }
    return take_run(rest, is_upper_hex, SIZE_MAX, taken);
}

static int take_program(struct span *rest, struct span *taken)
{
    *taken = *rest;
    if (!TAKE(rest, "(null)"))
        return take_string(rest, taken);
    taken->to = rest->from;
    return 1;
}

/* What stripped() in auditrecords/parse.py leaves. */
static struct span stripped(struct span text)
{
    while (text.from < text.to && memchr(" \r\n\0", *text.from, 4))
        text.from++;
    while (text.from < text.to && memchr(" \r\n\0", text.to[-1], 4))
        text.to--;
    return text;
}

/* A SYSCALL record as audit_log_exit prints it (kernel/auditsc.c). */
struct call {
    struct span body, call, result, items, ppid, pid, user, tty, session, comm, exe, label, enriched;
};

static int take_user(struct span *rest, struct span *taken)
{
    taken->from = rest->from;
    int is_user = TAKE(rest, " auid=") && take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " uid=") &&
                  take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " gid=") && take_digits(rest, MOST_UNSIGNED) &&
                  TAKE(rest, " euid=") && take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " suid=") &&
                  take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " fsuid=") && take_digits(rest, MOST_UNSIGNED) &&
                  TAKE(rest, " egid=") && take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " sgid=") &&
                  take_digits(rest, MOST_UNSIGNED) && TAKE(rest, " fsgid=") && take_digits(rest, MOST_UNSIGNED);
    taken->to = rest->from;
    return is_user;
}

static int take_what(struct span *rest, struct call *call)
{
    struct span word;
    call->call.from = rest->from;
    if (!TAKE(rest, "arch=") || !take_run(rest, is_hex, 8, &word) || !TAKE(rest, " syscall=") || !take_digits(rest, 10))
        return 0;
    call->call.to = call->result.from = rest->from;
    if (!TAKE(rest, " success=") || !(TAKE(rest, "yes") || TAKE(rest, "no")) || !TAKE(rest, " exit="))
        return 0;
    (void)TAKE(rest, "-");
    if (!take_digits(rest, 20))
        return 0;
    call->result.to = rest->from;
    return TAKE(rest, " a0=") && take_pointer(rest) && TAKE(rest, " a1=") && take_pointer(rest) && TAKE(rest, " a2=") &&
           take_pointer(rest) && TAKE(rest, " a3=") && take_pointer(rest);
}

static int take_call(struct span rest, struct call *call)
{
    struct span start = rest;
    if (!take_what(&rest, call))
        return 0;
    call->items.from = rest.from;
    if (!TAKE(&rest, " items=") || !take_digits(&rest, 4))
        return 0;
    call->items.to = rest.from;
    if (!TAKE(&rest, " ppid=") || !take_pid(&rest, &call->ppid) || !TAKE(&rest, " pid=") ||
        !take_pid(&rest, &call->pid) || !take_user(&rest, &call->user) || !TAKE(&rest, " tty=") ||
        !take_run(&rest, is_tty, 64, &call->tty) || !TAKE(&rest, " ses=") ||
        !take_run(&rest, is_digit, MOST_UNSIGNED, &call->session) || !TAKE(&rest, " comm=") ||
        !take_program(&rest, &call->comm) || !TAKE(&rest, " exe=") || !take_program(&rest, &call->exe))
        return 0;
    if (rest.from < rest.to && *rest.from != ' ' && *rest.from != 0x1d)
        return 0;
    (void)take_run(&rest, is_of_label, SIZE_MAX, &call->label);
    call->body = stripped((struct span){start.from, rest.from});
    call->enriched = (struct span){rest.from + (rest.from < rest.to), rest.to};
    if (memchr(rest.from, 0, size_of(rest)))
        return 0;
    call->enriched = stripped(call->enriched);
    return 1;
}

/* The next line, if it is a record of a type with the event's stamp: what stands behind that. */
static int take_line(struct span *text, const char *type, size_t size, struct span stamp, struct span *body)
{
    struct span rest = *text;
    if (!take_literal(&rest, type, size) || size_of(rest) < size_of(stamp) ||
        memcmp(rest.from, stamp.from, size_of(stamp)))
        return 0;
    rest.from += size_of(stamp);
    const uint8_t *newline = memchr(rest.from, '\n', size_of(rest));
    if (!newline)
        return 0;
    *body = (struct span){rest.from, newline};
    text->from = newline + 1;
    return 1;
}
#define TAKE_LINE(text, type, stamp, body) take_line(text, type " msg=", sizeof type + 4, stamp, body)

/* `audit(SECONDS.MILLIS:SERIAL): `, and the moment that it says. */
static int take_stamp(struct span *rest, struct span *stamp, int64_t *time, int64_t *serial)
{
    int64_t seconds, millis;
    stamp->from = rest->from;
    if (!TAKE(rest, "audit(") || !take_number(rest, '.', 11, 1, &seconds) || !take_number(rest, ':', 3, 3, &millis) ||
        !take_number(rest, ')', 10, 1, serial) || !TAKE(rest, ": "))
        return 0;
    stamp->to = rest->from;
    *time = 1000 * seconds + millis;
    return 1;
}

/* `KEY=VALUE` at the start of a record, where nothing but auditd's reading follows; else there is no value. */
static int take_value(struct span *rest, struct span value)
{
    if (value.to < rest->to && *value.to != 0x1d)
        return 0;
    rest->from = value.to;
    return 1;
}

/* The address of a Unix socket, with its family, and what follows; all of the record where it is another's. */
static struct span socket_of(struct span *rest)
{
    struct span value, none = {rest->from, rest->from}, from = *rest;
    if (!TAKE(&from, "saddr=") || !take_run(&from, is_upper_hex, SIZE_MAX, &value) || size_of(value) < FAMILY ||
        (memcmp(value.from, "0100", FAMILY) && memcmp(value.from, "0001", FAMILY)))
        return none;
    return take_value(rest, value) ? value : none;
}

static struct span directory_of(struct span *rest)
{
    struct span value, none = {rest->from, rest->from}, from = *rest;
    if (!TAKE(&from, "cwd=") || !take_string(&from, &value))
        return none;
    return take_value(rest, value) ? value : none;
}

/* Where the name of an address ends, in hex: _end_of_path. */
static const uint8_t *end_of_path(struct span address)
{
    if (size_of(address) % 2)
        return address.to;
    for (const uint8_t *at = address.from + FAMILY; at < address.to; at += 2)
        if (at[0] == '0' && at[1] == '0')
            return at > address.from + FAMILY ? at : address.to;
    return address.to;
}

/* The only file of an event, by a plain name: _FILE. */
struct file {
    struct span body, item, name, inode, device, rest;
};

static int take_file(struct span rest, struct file *file)
{
    struct span word;
    file->body.from = file->item.from = rest.from;
    if (!TAKE(&rest, "item=") || !take_digits(&rest, 4))
        return 0;
    file->item.to = rest.from;
    if (!TAKE(&rest, " name=\"") || rest.from == rest.to || *rest.from != '/')
        return 0;
    (void)take_run(&rest, is_plain_name, SIZE_MAX, &file->name);
    if (!TAKE(&rest, "\" inode=") || !take_run(&rest, is_digit, 19, &file->inode) ||
        (*file->inode.from == '0' && size_of(file->inode) > 1) || !TAKE(&rest, " dev="))
        return 0;
    file->device.from = rest.from;
    if (!take_run(&rest, is_hex, 8, &word) || size_of(word) < 2 || !TAKE(&rest, ":") ||
        !take_run(&rest, is_hex, 8, &word) || size_of(word) < 2)
        return 0;
    file->device.to = file->rest.from = rest.from;
    if (!TAKE(&rest, " mode="))
        return 0;
    (void)take_run(&rest, is_of_label, SIZE_MAX, &word);
    file->body.to = file->rest.to = rest.from;
    file->body = stripped(file->body);
    return 1;
}

/* Whether the address says this name. */
static int is_named(struct span address, const uint8_t *end, struct span name)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *at = address.from + FAMILY;
    if ((size_t)(end - at) != 2 * size_of(name))
        return 0;
    for (; name.from < name.to; name.from++, at += 2)
        if (at[0] != hex[*name.from >> 4] || at[1] != hex[*name.from & 15])
            return 0;
    return 1;
}

/* A piece behind a newline. */
static void put_piece(struct out *out, struct span text)
{
    PUT(out, "\n");
    put(out, text);
}

struct event {
    struct call call;
    struct file file;
    struct span stamp, address, socket, cwd, directory, paths, title;
    const uint8_t *end; /* of the name that the address says */
    int has_address, has_cwd, is_told, has_file;
};

static int take_event(struct span text, struct event *event, int64_t *time, int64_t *serial)
{
    struct span rest = text, body, newline;
    if (!TAKE(&rest, "type=SYSCALL msg=") || !take_stamp(&rest, &event->stamp, time, serial) ||
        !TAKE_LINE(&text, "type=SYSCALL", event->stamp, &body) || !take_call(body, &event->call))
        return 0;
    event->has_address = TAKE_LINE(&text, "type=SOCKADDR", event->stamp, &event->address);
    if (event->has_address)
        event->socket = socket_of(&event->address);
    event->has_cwd = TAKE_LINE(&text, "type=CWD", event->stamp, &event->cwd);
    if (event->has_cwd)
        event->directory = directory_of(&event->cwd);
    event->paths.from = text.from;
    int64_t count = 0;
    for (; TAKE_LINE(&text, "type=PATH", event->stamp, &body); count++)
        if (memmem(body.from, size_of(body), event->stamp.from, size_of(event->stamp) - 1))
            return 0;
    event->paths.to = text.from;
    event->is_told = size_of(event->socket) >= FAMILY + 2 && !memcmp(event->socket.from + FAMILY, "2F", 2) &&
                     !FIND(event->socket, "70726F63");
    event->end = size_of(event->socket) ? end_of_path(event->socket) : event->socket.to;
    if (event->is_told && count == 1) {
        newline = event->paths;
        event->has_file = TAKE_LINE(&newline, "type=PATH", event->stamp, &body) && take_file(body, &event->file) &&
                          is_named(event->socket, event->end, event->file.name);
    }
    if (!TAKE(&text, "type=PROCTITLE msg=") || size_of(text) < size_of(event->stamp) ||
        memcmp(text.from, event->stamp.from, size_of(event->stamp)))
        return 0;
    text.from += size_of(event->stamp);
    return TAKE(&text, "proctitle=") && take_string(&text, &event->title) && text.from == text.to;
}

/* PATH records without their stamps. */
static void put_paths(struct out *out, struct span paths, struct span stamp)
{
    struct span sign = {stamp.from, stamp.to - 1};
    PUT(out, "\n");
    for (const uint8_t *at; (at = memmem(paths.from, size_of(paths), sign.from, size_of(sign)));) {
        put(out, (struct span){paths.from, at});
        PUT(out, "\n");
        paths.from = at + size_of(sign);
    }
    put(out, paths);
}

static void put_key(struct out *out, const struct event *event)
{
    const struct call *call = &event->call;
    struct span none = {call->body.from, call->body.from}, address = event->address;
    int has_socket = size_of(event->socket) > 0, has_own = event->is_told && size_of(event->directory);
    if (has_socket)
        address = (struct span){event->socket.from, event->has_file ? event->socket.from + FAMILY : event->end};
    const int told[] = {event->has_address, has_socket,
                        event->has_cwd,     size_of(event->directory) > 0,
                        has_own,            event->has_file,
                        !FIND(call->user, " uid=4294967295 "), !IS(call->session, "4294967295"),
                        1 /* a title */};
    for (size_t number = 0; number < sizeof told / sizeof *told; number++)
        put(out, (struct span){(const uint8_t *)"01" + told[number], (const uint8_t *)"01" + told[number] + 1});
    const struct span pieces[] = {call->call, call->result, call->items, call->label, event->has_cwd ? event->cwd : none,
                                  event->has_address ? address : none, has_own ? none : event->directory};
    for (size_t number = 0; number < sizeof pieces / sizeof *pieces; number++)
        put_piece(out, pieces[number]);
    if (event->has_file) {
        put_piece(out, event->file.item);
        put_piece(out, event->file.device);
        put_piece(out, event->file.rest);
    } else {
        put_paths(out, event->paths, event->stamp);
    }
}

static void put_own(struct out *out, const struct event *event)
{
    const struct call *call = &event->call;
    struct span none = {call->body.from, call->body.from};
    struct span directory = event->is_told ? event->directory : none;
    put(out, call->call);
    const struct span pieces[] = {call->ppid, call->pid, call->user, call->enriched, call->tty, call->session,
                                  event->title, directory, call->comm, call->exe,
                                  event->has_file ? event->file.name : none, event->has_file ? event->file.inode : none,
                                  event->has_file ? event->file.device : none};
    for (size_t number = 0; number < sizeof pieces / sizeof *pieces; number++)
        put_piece(out, pieces[number]);
    PUT(out, "\nSYSCALL ");
    put(out, call->body);
    if (size_of(event->socket)) {
        PUT(out, "\nSOCKADDR saddr=");
        put(out, event->socket);
    }
    if (size_of(directory)) {
        PUT(out, "\nCWD cwd=");
        put(out, directory);
    }
    if (event->has_file) {
        PUT(out, "\nPATH ");
        put(out, event->file.body);
    }
    PUT(out, "\nPROCTITLE proctitle=");
    put(out, event->title);
}

int64_t sockwarden_likeness(struct span text, struct out *out, int64_t *time, int64_t *serial)
{
    struct event event = {.has_file = 0};
    uint8_t *before = out->at;
    event.socket = event.directory = event.address = event.cwd = (struct span){text.from, text.from};
    if (size_of(text) > MOST_TEXT || !take_event(text, &event, time, serial))
        return NO;
    struct span title = event.title;
    if (TAKE(&title, "\"\"") || TAKE(&title, "00"))
        return NO; /* it may be none: Python looks */
    put_key(out, &event);
    int64_t end = out->at - out->from;
    put_own(out, &event);
    if (out->is_full)
        out->at = before;
    return out->is_full ? NO : end;
}
