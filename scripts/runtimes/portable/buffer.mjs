// What the tests use of Node.js's Buffer, where a runtime has none.

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const text = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

const ENCODINGS = {
  utf8: (bytes) => utf8.decode(bytes),
  latin1: text,
  base64: (bytes) => btoa(text(bytes)),
  hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
};

class PortableBuffer extends Uint8Array {
  static alloc(size) {
    return new PortableBuffer(size);
  }

  static from(source) {
    return new PortableBuffer(typeof source === "string" ? new TextEncoder().encode(source) : source);
  }

  static concat(parts) {
    const joined = new PortableBuffer(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  static compare(a, b) {
    return a.length === b.length && a.every((byte, at) => byte === b[at]) ? 0 : 1;
  }

  /** A view, as in Node.js. */
  slice(...range) {
    return this.subarray(...range);
  }

  toString(encoding = "utf8") {
    return ENCODINGS[encoding](this);
  }
}

globalThis.Buffer ??= PortableBuffer;
