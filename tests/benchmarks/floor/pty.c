/* The floor of a round trip over a PTY: bare read and write on both sides.
 *
 *   pty respond HEX        opens a PTY, prints its path, and answers each status request with the payload in HEX
 *   pty ask PATH HEX N     writes the frame in HEX to PATH and reads up to the reply's end, N times; prints ns a trip
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CHANNEL_STATUS = 2, FRAME_MAX = 512 };

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            table[i] = c;
        }
    uint32_t c = ~0u;
    while (n--) c = table[(c ^ *p++) & 255] ^ (c >> 8);
    return ~c;
}

static size_t unstuff(const uint8_t *in, size_t n, uint8_t *out) {
    size_t made = 0, at = 0;
    while (at < n) {
        uint8_t code = in[at++];
        for (uint8_t k = 1; k < code && at < n; k++) out[made++] = in[at++];
        if (code != 0xFF && at < n) out[made++] = 0;
    }
    return made;
}

static size_t stuff(const uint8_t *in, size_t n, uint8_t *out) {
    size_t made = 1, code_at = 0;
    uint8_t code = 1;
    for (size_t i = 0; i < n; i++) {
        if (in[i]) { out[made++] = in[i]; code++; }
        if (!in[i] || code == 0xFF) { out[code_at] = code; code_at = made++; code = 1; }
    }
    out[code_at] = code;
    return made;
}

static size_t from_hex(const char *hex, uint8_t *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static void raw(int fd) {
    struct termios how;
    tcgetattr(fd, &how);
    cfmakeraw(&how);
    tcsetattr(fd, TCSANOW, &how);
}

static int respond(const char *opcode_and_payload) {
    uint8_t payload[FRAME_MAX], in[4096], stuffed[FRAME_MAX], plain[FRAME_MAX], out[FRAME_MAX];
    size_t size = from_hex(opcode_and_payload, payload), held = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) return 1;
    int keep = open(ptsname(master), O_RDWR | O_NOCTTY);
    raw(keep);
    printf("%s\n", ptsname(master));
    fflush(stdout);
    for (;;) {
        ssize_t got = read(master, in, sizeof in);
        if (got <= 0) return 0;
        for (ssize_t i = 0; i < got; i++) {
            if (in[i]) { if (held < sizeof stuffed) stuffed[held++] = in[i]; continue; }
            if (!held) continue;
            size_t n = unstuff(stuffed, held, plain);
            held = 0;
            if (n < 9 || memcmp(&(uint32_t){crc32_of(plain, n - 4)}, plain + n - 4, 4)) continue;
            uint8_t reply[FRAME_MAX] = {CHANNEL_STATUS, payload[0], payload[1], plain[3], plain[4]};
            memcpy(reply + 5, payload + 2, size - 2);
            uint32_t crc = crc32_of(reply, size + 3);
            memcpy(reply + size + 3, &crc, 4);
            out[0] = 0;
            size_t made = stuff(reply, size + 7, out + 1);
            out[made + 1] = 0;
            if (write(master, out, made + 2) < 0) return 1;
        }
    }
}

static int ask(const char *path, const char *hex, long times) {
    uint8_t request[FRAME_MAX], in[FRAME_MAX];
    size_t size = from_hex(hex, request);
    int fd = open(path, O_RDWR | O_NOCTTY);
    if (fd < 0) return 1;
    raw(fd);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (long i = 0; i < times; i++) {
        int ends = 0;
        if (write(fd, request, size) < 0) return 1;
        while (ends < 2) {
            ssize_t got = read(fd, in, sizeof in);
            if (got <= 0) return 1;
            for (ssize_t k = 0; k < got; k++) ends += !in[k];
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.0f\n", ((ended.tv_sec - begun.tv_sec) * 1e9 + (ended.tv_nsec - begun.tv_nsec)) / times);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "respond")) return respond(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "ask")) return ask(argv[2], argv[3], atol(argv[4]));
    fprintf(stderr, "pty respond HEX | pty ask PATH HEX N\n");
    return 2;
}
