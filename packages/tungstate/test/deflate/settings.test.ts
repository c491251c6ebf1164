import { type DeflateParams, formatExtensions, parseExtensions } from "@tungstate/protocol";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  clientCompression,
  type CompressionOptions,
  compressionSettings,
  serverCompression,
} from "../../src/deflate/settings.ts";

function settings(option: true | CompressionOptions) {
  const result = compressionSettings(option);
  assert.ok(result !== undefined);
  return result;
}

describe("the compression option", () => {
  test("is off by default", () => {
    assert.equal(compressionSettings(undefined), undefined);
    assert.equal(compressionSettings(false), undefined);
  });

  test("has defaults, which depend on context takeover", () => {
    assert.deepEqual(compressionSettings(true), compressionSettings({}));
    assert.deepEqual(compressionSettings({}), {
      contextTakeover: false,
      windowBits: 15,
      fallbackOffers: true,
      memLevel: 8,
      level: 2,
      threshold: 128,
      asyncThreshold: 65536,
      binary: true,
    });
    const keeping = settings({ contextTakeover: true });
    assert.equal(keeping.windowBits, 12);
    assert.equal(keeping.threshold, 32);
  });

  // [name, in range, out of range]
  const RANGES: readonly [keyof CompressionOptions, readonly unknown[], readonly unknown[]][] = [
    ["windowBits", [8, 15], [7, 16, 0, 10.5, NaN, Infinity, "10", null]],
    ["memLevel", [1, 9], [0, 10, 1.5, "8"]],
    ["level", [1, 9], [0, 10, -1, "6"]],
    ["threshold", [0, 1, 1e9, Infinity], [-1, 0.5, NaN, "1"]],
    ["asyncThreshold", [1024, 16 * 1024 * 1024], [1023, 16 * 1024 * 1024 + 1, Infinity, {}]],
    ["contextTakeover", [true, false], [0, "yes", null]],
    ["binary", [true, false], [1, "no"]],
    ["fallbackOffers", [true, false], [1, "no", null]],
  ];
  for (const [name, good, bad] of RANGES) {
    test(`${name} is validated`, () => {
      for (const value of good) assert.equal(settings({ [name]: value })[name], value);
      for (const value of bad) {
        assert.throws(() => compressionSettings({ [name]: value }), {
          code: "INVALID_ARGUMENT",
          message: new RegExp(`compression\\.${name} must be .*, got `),
        });
      }
    });
  }

  test("is a boolean or an object", () => {
    for (const value of ["on", 1, null] as unknown as boolean[]) {
      assert.throws(() => compressionSettings(value), { code: "INVALID_ARGUMENT", message: /a boolean or an object/ });
    }
  });
});

describe("negotiated parameters", () => {
  /** Offers of browsers, and the responses. */
  function toBrowser(option: true | CompressionOptions, offer = "permessage-deflate; client_max_window_bits") {
    const answer = serverCompression(settings(option)).answer(parseExtensions(offer) ?? []);
    assert.ok(answer !== undefined);
    return formatExtensions([{ name: "permessage-deflate", params: answer.params }]);
  }

  function offers(option: true | CompressionOptions) {
    return formatExtensions(clientCompression(settings(option)).offers);
  }

  const NONE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

  test("by a server", () => {
    assert.equal(toBrowser(true), NONE);
    assert.equal(toBrowser({ windowBits: 10 }), `${NONE}; server_max_window_bits=10`);
    const both = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    assert.equal(toBrowser({ contextTakeover: true }), both);
    assert.equal(toBrowser({ contextTakeover: true, windowBits: 15 }), "permessage-deflate");
    // a client whose window cannot be limited keeps none
    assert.equal(
      toBrowser({ contextTakeover: true }, "permessage-deflate"),
      "permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
    );
  });

  test("by a client", () => {
    const fallback = "permessage-deflate; client_max_window_bits, permessage-deflate";
    const wanted = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    for (const [option, preferred] of [
      [{}, `${NONE}; client_max_window_bits`],
      [{ windowBits: 9 }, `${NONE}; client_max_window_bits=9`],
      [{ contextTakeover: true }, `${wanted}, ${NONE}; client_max_window_bits`],
    ] as const) {
      assert.equal(offers(option), `${preferred}, ${fallback}`);
      assert.equal(offers({ ...option, fallbackOffers: false }), preferred);
    }
    assert.equal(offers(true), offers({}));
  });

  test("between the two: both use the smaller setting", () => {
    for (const [client, server] of [
      [10, 14],
      [14, 10],
    ] as const) {
      const one = clientCompression(settings({ contextTakeover: true, windowBits: client }));
      const other = serverCompression(settings({ contextTakeover: true, windowBits: server }));
      const answer = other.answer(one.offers);
      assert.ok(answer !== undefined);
      const expected: DeflateParams = {
        serverNoContextTakeover: false,
        clientNoContextTakeover: false,
        serverMaxWindowBits: 10,
        clientMaxWindowBits: 10,
      };
      assert.deepEqual(answer.negotiated, expected);
      assert.deepEqual(one.accept(answer.params), expected);
    }
  });
});
