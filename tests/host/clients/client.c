/* One access to a socket, by one way, and out: `client WAY ADDRESS [WHAT THE WAY NEEDS] [MARK]`.
 *
 * MARK is read by nobody here: it makes the arguments of one run unlike those of any other. The exit status is 0, or the
 * errno of the access, so that a test knows what really happened. The process is gone at once, unless its way says
 * otherwise. Built static and not position-independent, so that what i386 calls point at lies below 4 GiB.
 */
#include "client.h"

int main(int count, char **arguments) {
    static const struct way *const all[] = {connects, opens, rings, abis, passing, threads, places, requests};
    given = arguments;
    mark = arguments[count - 1];
    if (count < 3 || !set_address(given[2])) return EINVAL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const struct way *way = all[i]; way->name; way++)
            if (strcmp(way->name, given[1]) == 0) return way->access();
    return EINVAL;
}
