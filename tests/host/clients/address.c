/* The address, and the plainest way to it; of the client's program and of the receiver's. */
#include "client.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

union address address;
socklen_t length;
char **given;
char *mark;

int set_address(const char *text) {
    const char *colon = strrchr(text, ':');
    memset(&address, 0, sizeof address);
    if (*text >= '0' && *text <= '9' && colon) {
        struct sockaddr_in *inet = (void *)&address;
        char host[16] = "";
        if (colon - text >= (int)sizeof host) return 0;
        memcpy(host, text, colon - text);
        inet->sin_family = AF_INET;
        inet->sin_port = htons(atoi(colon + 1));
        length = sizeof *inet;
        return inet_pton(AF_INET, host, &inet->sin_addr) == 1;
    }
    if (strlen(text) >= sizeof address.local.sun_path) return 0;
    address.local.sun_family = AF_UNIX;
    strcpy(address.local.sun_path, text);
    length = offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1;
    if (*text == '@') { /* the name of an abstract socket has no NUL at its end */
        address.local.sun_path[0] = 0;
        length--;
    }
    return 1;
}

int stream(void) { return socket(address.any.sa_family, SOCK_STREAM, 0); }

int connected(int result) { return result == 0 ? 0 : errno; }

int by_connect(void) { return connected(connect(stream(), &address.any, length)); }
