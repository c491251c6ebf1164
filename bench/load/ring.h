// The frames that the load generator sends: a ring of different ones.
#pragma once
#include "options.h"

static int ring_frames;         // number of frames; a multiple of `senders`
static u8 *plain;               // ring_frames payloads of payload_bytes
static u8 *wire;                // the same as masked frames, compressed if requested
static size_t *wire_at;         // where frame i starts; [ring_frames] is the end
static u64 *sent_at;            // broadcast: time at which frame i was last sent

static void fill_payload(u8 *out, long n, int index) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static const char *const utf8[] = {"a", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "z"};
  if (!strcmp(type, "json")) { // a chat message: keys and words that repeat, ids and numbers that do not
    long at = 0;
    char piece[160];
    at += snprintf((char *)out, (size_t)n, "{\"type\":\"message\",\"id\":\"%08x\",\"items\":[", random32());
    if (at > n) at = n;
    for (int i = 0; at < n; i++) {
      int size = snprintf(piece, sizeof piece, "{\"user\":\"user-%u\",\"score\":%u,\"active\":%s,\"text\":\"the quick brown fox\"},", random32() % 10000,
                          random32() % 100000, random32() & 1 ? "true" : "false");
      if (size > n - at) size = (int)(n - at);
      memcpy(out + at, piece, (size_t)size);
      at += size;
    }
    if (n > 2) memcpy(out + n - 2, "]}", 2);
  } else if (!strcmp(type, "utf8")) {
    long at = 0;
    while (at < n) {
      const char *piece = utf8[random32() % 6];
      long size = (long)strlen(piece);
      if (at + size > n) out[at++] = 'x';
      else memcpy(out + at, piece, (size_t)size), at += size;
    }
  } else if (!strcmp(type, "text")) for (long i = 0; i < n; i++) out[i] = (u8)letters[random32() & 63];
  else for (long i = 0; i < n; i++) out[i] = (u8)random32();
  if (senders > 1) { // the sender, readable in any type of message
    out[0] = (u8)letters[(index >> 6) & 63];
    out[1] = (u8)letters[index & 63];
  }
}

static size_t compress_raw(u8 *out, size_t room, const u8 *in, size_t n) {
#ifdef WITH_ZLIB
  z_stream z = {0};
  deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (u8 *)in;
  z.avail_in = (uInt)n;
  z.next_out = out;
  z.avail_out = (uInt)room;
  deflate(&z, Z_SYNC_FLUSH);
  size_t size = room - z.avail_out;
  deflateEnd(&z);
  return size - 4; // RFC 7692 section 7.2.1: remove 4 octets (0x00 0x00 0xff 0xff) from the tail end
#else
  (void)out, (void)room, (void)in, (void)n;
  die("built without zlib: no compressed rows");
  return 0;
#endif
}

static void make_ring(void) {
  long n = 256 * 1024 / (payload_bytes + 14);
  ring_frames = n > 1024 ? 1024 : n < 4 ? 4 : (int)n;
  ring_frames -= ring_frames % senders;
  if (ring_frames < senders) ring_frames = senders;
  size_t room = (size_t)payload_bytes + (use_deflate ? (size_t)payload_bytes / 8 + 128 : 0) + 14;
  plain = malloc((size_t)ring_frames * (size_t)payload_bytes + 1);
  wire = malloc((size_t)ring_frames * room);
  wire_at = calloc((size_t)ring_frames + 1, sizeof *wire_at);
  sent_at = calloc((size_t)ring_frames, sizeof *sent_at);
  u8 *packed = malloc(room);
  if (!plain || !wire || !wire_at || !packed) die("out of memory");
  int opcode = !strcmp(type, "binary") ? 2 : 1;
  for (int i = 0; i < ring_frames; i++) {
    u8 *payload = plain + (size_t)i * (size_t)payload_bytes;
    fill_payload(payload, payload_bytes, i);
    size_t size = (size_t)payload_bytes;
    int first = 0x80 | opcode;
    if (use_deflate) {
      size = compress_raw(packed, room, payload, size);
      payload = packed;
      first |= 0x40;
    }
    wire_at[i + 1] = wire_at[i] + put_frame(wire + wire_at[i], first, payload, size);
  }
  free(packed);
}
