/* The floor of a stream: unstuff, check, copy; nothing else. Samples of frames whose CRC-32 holds go to `out`. */
#include <stddef.h>
#include <string.h>
#include <stdint.h>
static uint32_t table[8][256];
void prepare(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[0][n] = c;
    }
    for (int t = 1; t < 8; t++)
        for (uint32_t n = 0; n < 256; n++) table[t][n] = (table[t - 1][n] >> 8) ^ table[0][table[t - 1][n] & 0xFF];
}
static uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t c = ~0u;
    while (n >= 8) {
        uint32_t lo, hi;
        memcpy(&lo, p, 4); memcpy(&hi, p + 4, 4);
        lo ^= c;
        c = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^ table[5][lo >> 16 & 255] ^ table[4][lo >> 24]
          ^ table[3][hi & 255] ^ table[2][hi >> 8 & 255] ^ table[1][hi >> 16 & 255] ^ table[0][hi >> 24];
        p += 8; n -= 8;
    }
    while (n--) c = table[0][(c ^ *p++) & 255] ^ (c >> 8);
    return ~c;
}
size_t unstuff(const uint8_t *in, size_t n, size_t head, uint8_t *out) {
    uint8_t frame[512];
    size_t done = 0, at = 0;
    while (at < n) {
        size_t made = 0;
        const uint8_t *stop = memchr(in + at, 0, n - at);
        size_t end = stop ? (size_t)(stop - in) : n;
        while (at < end) {
            uint8_t code = in[at++];
            size_t run = code - 1u;
            memcpy(frame + made, in + at, run);
            made += run; at += run;
            if (code != 0xFF && at < end) frame[made++] = 0;
        }
        at = end + 1;
        if (made < head + 4) continue;
        uint32_t want;
        memcpy(&want, frame + made - 4, 4);
        if (crc32(frame, made - 4) != want) continue;
        memcpy(out + done, frame + head, made - 4 - head);
        done += made - 4 - head;
    }
    return done;
}
