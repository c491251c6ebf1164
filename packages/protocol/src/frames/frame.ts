/** RFC 6455 §11.8. */
export const OPCODE = { CONTINUATION: 0x0, TEXT: 0x1, BINARY: 0x2, CLOSE: 0x8, PING: 0x9, PONG: 0xa } as const;

export const FIN = 0x80;
export const RSV1 = 0x40;
export const RSV_BITS = 0x70;
export const MASK_BIT = 0x80;

/** Maximum payload of a control frame in bytes (RFC 6455 §5.5). */
export const MAX_CONTROL_PAYLOAD = 125; // RFC 6455 §5.5
export const MAX_HEADER_SIZE = 14; // 2, an 8-byte length and a 4-byte masking key

const LENGTH_16 = 126;
const LENGTH_64 = 127;
const LARGEST_16 = 0xffff;

/** Bytes that the header of a frame with this payload length takes. */
export function headerSize(length: number, masked: boolean): number {
  return (length < LENGTH_16 ? 2 : length <= LARGEST_16 ? 4 : 10) + (masked ? 4 : 0);
}

/**
 * Writes a frame header (RFC 6455 §5.2) at `target[at]` and returns the offset behind it. `first`
 * is FIN, RSV and opcode in one byte; `key` is the masking key as the 4 bytes of a little-endian
 * word, undefined for an unmasked frame.
 */
export function writeHeader(
  target: Uint8Array,
  at: number,
  first: number,
  length: number,
  key: number | undefined,
): number {
  const mask = key === undefined ? 0 : MASK_BIT;
  target[at++] = first;
  // RFC 6455 §5.2: "the minimal number of bytes MUST be used to encode the length"
  if (length < LENGTH_16) {
    target[at++] = mask | length;
  } else if (length <= LARGEST_16) {
    target[at++] = mask | LENGTH_16;
    target[at++] = length >>> 8;
    target[at++] = length;
  } else {
    target[at++] = mask | LENGTH_64;
    const high = Math.floor(length / 0x1_0000_0000);
    for (const word of [high, length >>> 0]) {
      target[at++] = word >>> 24;
      target[at++] = word >>> 16;
      target[at++] = word >>> 8;
      target[at++] = word;
    }
  }
  if (key !== undefined) {
    target[at++] = key;
    target[at++] = key >>> 8;
    target[at++] = key >>> 16;
    target[at++] = key >>> 24;
  }
  return at;
}
