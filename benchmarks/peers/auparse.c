/* Prints each connect to a runtime's socket that libauparse finds in a log, as JSON, one a line: auparse LOG. */
#include <auparse.h>
#include <libaudit.h>
#include <stdio.h>
#include <string.h>

static int ends(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* What a field of the record at hand says, in the buffer; empty where it has no such field. */
static char *field(auparse_state_t *log, const char *name, char *buffer, size_t size) {
    const char *found = auparse_find_field(log, name) ? auparse_interpret_field(log) : NULL;
    snprintf(buffer, size, "%s", found ? found : "");
    return buffer;
}

int main(int count, char **arguments) {
    auparse_state_t *log = count == 2 ? auparse_init(AUSOURCE_FILE, arguments[1]) : NULL;
    if (!log) {
        fprintf(stderr, "auparse LOG: no such log\n");
        return 2;
    }
    while (auparse_next_event(log) > 0) {
        char pid[32] = "", exe[4096] = "", path[256] = "", address[512], call[32];
        int connects = 0;
        auparse_first_record(log);
        do {
            int kind = auparse_get_type(log);
            if (kind == AUDIT_SYSCALL) {
                connects = strcmp(field(log, "syscall", call, sizeof call), "connect") == 0;
                field(log, "pid", pid, sizeof pid);
                field(log, "exe", exe, sizeof exe);
            } else if (kind == AUDIT_SOCKADDR) {
                /* "{ saddr_fam=local path=/run/docker.sock }" */
                char *begin = strstr(field(log, "saddr", address, sizeof address), "path=");
                char *end = begin ? strstr(begin, " }") : NULL;
                if (end)
                    snprintf(path, sizeof path, "%.*s", (int)(end - begin) - 5, begin + 5);
            }
        } while (auparse_next_record(log) > 0);
        if (connects && (ends(path, "docker.sock") || ends(path, "containerd.sock")))
            printf("{\"serial\":%lu,\"pid\":%s,\"exe\":\"%s\",\"path\":\"%s\"}\n", auparse_get_serial(log), pid, exe, path);
    }
    auparse_destroy(log);
    return 0;
}
