/* Connects to a Unix socket and keeps the connection until it is killed: `holder ADDRESS`. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **given) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (count != 2 || strlen(given[1]) >= sizeof address.sun_path) return EINVAL;
    strcpy(address.sun_path, given[1]);
    if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address)) return errno;
    pause();
}
