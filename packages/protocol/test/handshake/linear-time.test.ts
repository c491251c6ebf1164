import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKey } from "../../src/handshake/accept-key.ts";
import { answerOffers, parseExtensions } from "../../src/handshake/extensions.ts";
import { HeaderFields, hasToken, parseTokenList } from "../../src/handshake/header-fields.ts";
import { RequestHeadParser, ResponseHeadParser } from "../../src/handshake/http-head.ts";
import { parseTarget } from "../../src/handshake/target.ts";
import { checkUpgrade } from "../../src/handshake/upgrade-request.ts";
import { assertLinear } from "./linear.ts";
import { bytes, head, requestLines } from "./support.ts";

// CVE-2021-32640, CVE-2020-7662: header values that took quadratic time
const SIZE = 16 * 1024; // bytes, and four times that

/** Values of about `size` characters on which a scanner could backtrack. */
const VALUES: Readonly<Record<string, (size: number) => string>> = {
  spaces: (size) => `a${" ".repeat(size)}b`,
  tabs: (size) => `a;${"\t".repeat(size)}`,
  commas: (size) => ",".repeat(size),
  "commas and spaces": (size) => ", ".repeat(size / 2),
  "one token": (size) => "a".repeat(size),
  tokens: (size) => "a,".repeat(size / 2),
  "distinct tokens": (size) => Array.from({ length: size / 6 }, (_, at) => `t${at}`).join(),
  parameters: (size) => `a${";b=c".repeat(size / 4)}`,
  "parameters, one name": (size) => `a${";b".repeat(size / 2)}`,
  semicolons: (size) => `a${";".repeat(size)}`,
  "a quoted string": (size) => `a;b="${"c".repeat(size)}"`,
  "a quoted string that never ends": (size) => `a;b="${"c".repeat(size)}`,
  backslashes: (size) => `a;b="${"\\c".repeat(size / 2)}"`,
  quotes: (size) => '"'.repeat(size),
  "equals signs": (size) => `a;b${"=".repeat(size)}`,
};

const unlimited = { maxHeadSize: Infinity, maxHeaders: Infinity, maxParts: Infinity };

describe("time grows no faster than size, up to 64 KiB, for", () => {
  for (const [name, value] of Object.entries(VALUES)) {
    it(`a header of ${name}`, () => {
      assertLinear(SIZE, (size) => {
        const long = value(size);
        const source = bytes(head("GET / HTTP/1.1", `A: ${long}`));
        const request = new HeaderFields([
          ["Host", "a"],
          ["Upgrade", `${long},websocket`],
          ["Connection", `${long},upgrade`],
          ["Sec-WebSocket-Version", "13"],
          ["Sec-WebSocket-Key", long],
        ]);
        return () => {
          parseExtensions(long);
          answerOffers([{ name: "a", rsv: 0, answer: () => undefined }], parseExtensions(long) ?? []);
          parseTokenList(long);
          hasToken(long, "never");
          isKey(long);
          checkUpgrade({ method: "GET", target: "/", version: "1.1", headers: request });
          parseTarget(`http://${long}`);
          assert.equal(new RequestHeadParser(unlimited).receive(source).state, "done");
        };
      });
    });
  }

  const heads: Readonly<Record<string, (size: number) => string>> = {
    "a head of many fields": (size) => head("GET / HTTP/1.1", ...new Array<string>(size / 8).fill("A: bcd")),
    "a head of many names": (size) =>
      head("GET / HTTP/1.1", ...Array.from({ length: size / 8 }, (_, at) => `A${at}:b`)),
    "a head of empty lines": (size) => `${"\r\n".repeat(size / 2)}${head("GET / HTTP/1.1")}`,
    "a head of spaces": (size) => head("GET / HTTP/1.1", `A:${" ".repeat(size)}`),
    "a head with one long line": (size) => head(`GET /${"a".repeat(size)} HTTP/1.1`),
    "a request's subprotocols": (size) => {
      const protocols = Array.from({ length: size / 6 }, (_, at) => `p${at}`).join();
      return head(...requestLines({ "Sec-WebSocket-Protocol": protocols }));
    },
  };
  for (const [name, source] of Object.entries(heads)) {
    it(name, () => {
      assertLinear(SIZE, (size) => {
        const whole = bytes(source(size));
        return () => {
          const progress = new RequestHeadParser(unlimited).receive(whole);
          assert.ok(progress.state === "done");
          for (const key of new Set([...progress.head.headers].map(([key]) => key))) progress.head.headers.get(key);
          checkUpgrade(progress.head);
        };
      });
    });

    it(`${name}, byte by byte`, () => {
      assertLinear(SIZE / 4, (size) => {
        const whole = bytes(source(size));
        const part = new Uint8Array(1); // borrowed, so one suffices
        return () => {
          const parser = new RequestHeadParser(unlimited);
          let state = "more";
          for (const byte of whole) {
            part[0] = byte;
            ({ state } = parser.receive(part));
          }
          assert.equal(state, "done");
        };
      });
    });
  }

  const folds: Readonly<Record<string, (size: number) => string>> = {
    "many folds": (size) => head("HTTP/1.1 200", `A: b${"\r\n c".repeat(size / 4)}`),
    "folds of nothing but spaces": (size) => head("HTTP/1.1 200", `A:${"\r\n ".repeat(size / 3)}`),
    "long folds of spaces": (size) => head("HTTP/1.1 200", `A: b\r\n${" ".repeat(size)}\r\n c${" ".repeat(size)}d`),
    "folds of many fields": (size) => head("HTTP/1.1 200", ...new Array<string>(size / 8).fill("A: b\r\n c")),
  };
  for (const [name, source] of Object.entries(folds)) {
    it(`a response with ${name}`, () => {
      assertLinear(SIZE, (size) => {
        const whole = bytes(source(size));
        return () => assert.equal(new ResponseHeadParser(unlimited).receive(whole).state, "done");
      });
    });
  }

  it("interim responses", () => {
    assertLinear(SIZE, (size) => {
      const source = bytes(head("HTTP/1.1 100 x").repeat(size / 18) + head("HTTP/1.1 200 x"));
      return () => assert.equal(new ResponseHeadParser(unlimited).receive(source).state, "done");
    });
  });
});
