import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  clientDeflate,
  clientDeflateWithFallback,
  type DeflateOptions,
  serverDeflate,
} from "../../src/deflate/negotiation.ts";
import { deflateDirections, type DeflateParams, type WindowBits } from "../../src/deflate/params.ts";
import { WebSocketError } from "../../src/errors.ts";
import { acceptAnswer, answerOffers, formatExtensions, parseExtensions } from "../../src/handshake/extensions.ts";

interface Short {
  /** Context takeover of the server and of the client, then the window bits of both. */
  readonly agreed: readonly [server: boolean, client: boolean, serverBits: number, clientBits: number];
}

function short(params: DeflateParams): Short["agreed"] {
  const { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits } = params;
  return [!serverNoContextTakeover, !clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits];
}

/** Returns a server's answer to a header value; undefined if it declines. */
function serverSays(
  offers: string,
  preferences?: DeflateOptions,
): { header: string; agreed: Short["agreed"] } | undefined {
  const parsed = parseExtensions(offers);
  assert.ok(parsed !== undefined, `not well formed: ${offers}`);
  const [accepted] = answerOffers([serverDeflate(preferences)], parsed);
  if (accepted === undefined) return undefined;
  assert.equal(accepted.rsv, 0x40);
  return { header: formatExtensions([accepted]), agreed: short(accepted.negotiated as DeflateParams) };
}

/** Returns a client's result for an answer, or a text if it fails the handshake. */
function clientSays(answer: string, ...preferences: DeflateOptions[]): Short["agreed"] | string {
  return clientTakes(clientDeflate(...preferences), answer);
}

function clientTakes(client: ReturnType<typeof clientDeflate>, answer: string): Short["agreed"] | string {
  const result = acceptAnswer([client], answer);
  if (result instanceof WebSocketError) {
    assert.equal(result.code, "UNREQUESTED_EXTENSION");
    return result.message;
  }
  return short(result[0].negotiated as DeflateParams);
}

const KEEP: DeflateOptions = { serverContextTakeover: true, clientContextTakeover: true };
const NONE = "server_no_context_takeover; client_no_context_takeover";

describe("permessage-deflate, the server's side", () => {
  // [offer, preferences, parameters of the answer, agreement]
  const ACCEPTED: readonly [string, DeflateOptions | undefined, string, Short["agreed"]][] = [
    // by default no window outlives a message, requested or not
    ["permessage-deflate", undefined, NONE, [false, false, 15, 15]],
    ["permessage-deflate; client_max_window_bits", undefined, NONE, [false, false, 15, 15]],
    ["permessage-deflate", KEEP, "", [true, true, 15, 15]],
    ["permessage-deflate; server_no_context_takeover", KEEP, "server_no_context_takeover", [false, true, 15, 15]],
    ["permessage-deflate; client_no_context_takeover", KEEP, "client_no_context_takeover", [true, false, 15, 15]],
    ["permessage-deflate; server_max_window_bits=8", KEEP, "server_max_window_bits=8", [true, true, 8, 15]],
    ["permessage-deflate; server_max_window_bits=15", KEEP, "server_max_window_bits=15", [true, true, 15, 15]],
    [
      "permessage-deflate; server_max_window_bits=12",
      { ...KEEP, serverMaxWindowBits: 10 },
      "server_max_window_bits=10",
      [true, true, 10, 15],
    ],
    [
      "permessage-deflate; server_max_window_bits=9",
      { ...KEEP, serverMaxWindowBits: 10 },
      "server_max_window_bits=9",
      [true, true, 9, 15],
    ],
    // §7.1.2.1: a server may limit its own window unasked
    ["permessage-deflate", { ...KEEP, serverMaxWindowBits: 11 }, "server_max_window_bits=11", [true, true, 11, 15]],
    ["permessage-deflate; client_max_window_bits", KEEP, "", [true, true, 15, 15]],
    ["permessage-deflate; client_max_window_bits=15", KEEP, "", [true, true, 15, 15]],
    ["permessage-deflate; client_max_window_bits=10", KEEP, "client_max_window_bits=10", [true, true, 15, 10]],
    ["permessage-deflate; client_max_window_bits=8", KEEP, "client_max_window_bits=8", [true, true, 15, 8]],
    [
      "permessage-deflate; client_max_window_bits",
      { ...KEEP, clientMaxWindowBits: 9 },
      "client_max_window_bits=9",
      [true, true, 15, 9],
    ],
    [
      "permessage-deflate; client_max_window_bits=12",
      { ...KEEP, clientMaxWindowBits: 9 },
      "client_max_window_bits=9",
      [true, true, 15, 9],
    ],
    // a client whose window cannot be limited is told to keep none
    ["permessage-deflate", { ...KEEP, clientMaxWindowBits: 9 }, "client_no_context_takeover", [true, false, 15, 15]],
    // the examples of §7.1.3, and quoted values
    [
      'permessage-deflate; client_max_window_bits="10"; server_max_window_bits="1\\0"',
      KEEP,
      "server_max_window_bits=10; client_max_window_bits=10",
      [true, true, 10, 10],
    ],
    [
      "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
      KEEP,
      "server_max_window_bits=10",
      [true, true, 10, 15],
    ],
    // fallbacks: the first valid offer, in the client's order
    ["permessage-deflate; unknown, permessage-deflate", KEEP, "", [true, true, 15, 15]],
    [
      "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=9, permessage-deflate",
      KEEP,
      "server_max_window_bits=9",
      [true, true, 9, 15],
    ],
    ["x-webkit-deflate-frame, permessage-deflate", KEEP, "", [true, true, 15, 15]],
  ];
  for (const [offers, preferences, params, agreed] of ACCEPTED) {
    test(`answers ${offers} with preferences ${JSON.stringify(preferences ?? {})}`, () => {
      const answer = serverSays(offers, preferences);
      assert.equal(answer?.header, params === "" ? "permessage-deflate" : `permessage-deflate; ${params}`);
      assert.deepEqual(answer?.agreed, agreed);
    });
  }

  const DECLINED = [
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover=true",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
    "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    "permessage-deflate; unknown",
    "permessage-deflate; __proto__",
    "permessage-deflate; constructor=1",
    "permessage-deflate; Server_No_Context_Takeover",
    "x-webkit-deflate-frame",
    ...["0", "7", "16", "1000", "abc", "08", "8.0", "+8", "-8", "0x8", "1e1"].flatMap((bits) => [
      `permessage-deflate; server_max_window_bits=${bits}`,
      `permessage-deflate; client_max_window_bits=${bits}`,
    ]),
  ];
  for (const offers of DECLINED) {
    test(`declines ${offers}`, () => assert.equal(serverSays(offers, KEEP), undefined));
  }

  test("an empty quoted value is malformed", () => {
    assert.equal(parseExtensions('permessage-deflate; server_max_window_bits=""'), undefined);
    assert.equal(
      serverDeflate(KEEP).answer([{ name: "permessage-deflate", params: [["server_max_window_bits", ""]] }]),
      undefined,
    );
  });
});

describe("permessage-deflate, the client's side", () => {
  // [preferences, the offers]
  const OFFERS: readonly [DeflateOptions[], string][] = [
    [[], `permessage-deflate; ${NONE}; client_max_window_bits`],
    [[KEEP], "permessage-deflate; client_max_window_bits"],
    [
      [{ ...KEEP, serverMaxWindowBits: 10, clientMaxWindowBits: 11 }],
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
    ],
    [
      [{ ...KEEP, serverMaxWindowBits: 10 }, {}],
      `permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate; ${NONE}; client_max_window_bits`,
    ],
  ];
  for (const [preferences, header] of OFFERS) {
    test(`offers ${header}`, () => assert.equal(formatExtensions(clientDeflate(...preferences).offers), header));
  }

  const ACCEPTED: readonly [DeflateOptions[], string, Short["agreed"]][] = [
    [[], `permessage-deflate; ${NONE}`, [false, false, 15, 15]],
    // limits of the client alone apply whether the server repeats them or not
    [[], "permessage-deflate; server_no_context_takeover", [false, false, 15, 15]],
    [[{ ...KEEP, clientMaxWindowBits: 10 }], "permessage-deflate", [true, true, 15, 10]],
    [[KEEP], "permessage-deflate", [true, true, 15, 15]],
    // §7.1.1.1, §7.1.1.2, §7.1.2.1: the server may add these unasked
    [[KEEP], `permessage-deflate; ${NONE}`, [false, false, 15, 15]],
    [[KEEP], "permessage-deflate; server_max_window_bits=8", [true, true, 8, 15]],
    [[KEEP], 'permessage-deflate; client_max_window_bits="8"', [true, true, 15, 8]],
    [[{ ...KEEP, serverMaxWindowBits: 10 }], "permessage-deflate; server_max_window_bits=10", [true, true, 10, 15]],
    [[{ ...KEEP, serverMaxWindowBits: 10 }], "permessage-deflate; server_max_window_bits=9", [true, true, 9, 15]],
    [[{ ...KEEP, clientMaxWindowBits: 10 }], "permessage-deflate; client_max_window_bits=9", [true, true, 15, 9]],
    // the second offer was accepted
    [
      [{ ...KEEP, serverMaxWindowBits: 10 }, {}],
      "permessage-deflate; server_no_context_takeover",
      [false, false, 15, 15],
    ],
  ];
  for (const [preferences, answer, agreed] of ACCEPTED) {
    test(`accepts ${answer} with preferences ${JSON.stringify(preferences)}`, () => {
      assert.deepEqual(clientSays(answer, ...preferences), agreed);
    });
  }

  const REFUSED: readonly [DeflateOptions[], string, RegExp][] = [
    [[], "permessage-deflate", /server_no_context_takeover was asked for/],
    [[KEEP], "permessage-deflate; unknown", /"unknown" is not a parameter/],
    [[KEEP], "permessage-deflate; __proto__=1", /"__proto__" is not a parameter/],
    [[KEEP], "permessage-deflate; server_no_context_takeover=1", /has no value, got "1"/],
    [[KEEP], "permessage-deflate; client_no_context_takeover; client_no_context_takeover", /came twice/],
    [[KEEP], "permessage-deflate; client_max_window_bits", /from 8 to 15, got no value/],
    [[KEEP], "permessage-deflate; server_max_window_bits", /from 8 to 15, got no value/],
    [[{ ...KEEP, serverMaxWindowBits: 10 }], "permessage-deflate", /at most 10, got none/],
    [[{ ...KEEP, serverMaxWindowBits: 10 }], "permessage-deflate; server_max_window_bits=11", /at most 10, got 11/],
    [[{ ...KEEP, clientMaxWindowBits: 10 }], "permessage-deflate; client_max_window_bits=11", /at most 10, got 11/],
    ...["0", "7", "16", "1000", "abc", "08", "+8", "1e1"].flatMap((bits): [DeflateOptions[], string, RegExp][] => [
      [
        [KEEP],
        `permessage-deflate; server_max_window_bits=${bits}`,
        /server_max_window_bits must be an integer from 8/,
      ],
      [
        [KEEP],
        `permessage-deflate; client_max_window_bits=${bits}`,
        /client_max_window_bits must be an integer from 8/,
      ],
    ]),
  ];
  for (const [preferences, answer, message] of REFUSED) {
    test(`rejects ${answer} with preferences ${JSON.stringify(preferences)}`, () => {
      const said = clientSays(answer, ...preferences);
      assert.ok(typeof said === "string", "it was accepted");
      assert.match(said, message);
    });
  }

  test("an empty value is rejected", () => {
    const accepted = clientDeflate(KEEP).accept([["server_max_window_bits", ""]]);
    assert.equal(accepted, 'server_max_window_bits must be an integer from 8 to 15, got ""');
  });
});

describe("permessage-deflate, the client's side, with fallback offers", () => {
  const FALLBACK = "permessage-deflate; client_max_window_bits, permessage-deflate";
  const SMALL: DeflateOptions = { ...KEEP, serverMaxWindowBits: 10, clientMaxWindowBits: 11 };

  test("offers its preferences, then what any server accepts", () => {
    const offers = (...preferences: DeflateOptions[]): string =>
      formatExtensions(clientDeflateWithFallback(...preferences).offers);
    assert.equal(offers(), `permessage-deflate; ${NONE}; client_max_window_bits, ${FALLBACK}`);
    assert.equal(
      offers(SMALL, {}),
      `permessage-deflate; server_max_window_bits=10; client_max_window_bits=11, permessage-deflate; ${NONE}; client_max_window_bits, ${FALLBACK}`,
    );
  });

  // [preferences, parameters of the answer, agreement]
  const ACCEPTED: readonly [DeflateOptions[], string, Short["agreed"]][] = [
    // an answer without the requested parameters accepts a fallback offer; the client still obeys
    // its own limits
    [[], "", [true, false, 15, 15]],
    [[], "client_no_context_takeover", [true, false, 15, 15]],
    [[], "server_no_context_takeover", [false, false, 15, 15]],
    [[], NONE, [false, false, 15, 15]],
    [[], "server_max_window_bits=9", [true, false, 9, 15]],
    [[], "client_max_window_bits=9", [true, false, 15, 9]],
    [[], "client_max_window_bits=15", [true, false, 15, 15]],
    [[], "server_max_window_bits=8; client_max_window_bits=8", [true, false, 8, 8]],
    [[SMALL], "", [true, true, 15, 11]],
    [[SMALL], "server_max_window_bits=15", [true, true, 15, 11]],
    [[SMALL], "server_max_window_bits=12; client_max_window_bits=15", [true, true, 12, 11]],
    [[SMALL], "server_max_window_bits=10; client_max_window_bits=9", [true, true, 10, 9]],
    [[SMALL, {}], "", [true, true, 15, 11]],
    [[SMALL, {}], "server_no_context_takeover", [false, false, 15, 15]],
    [[SMALL, {}], "client_no_context_takeover", [true, false, 15, 11]],
  ];
  for (const [preferences, params, agreed] of ACCEPTED) {
    const answer = params === "" ? "permessage-deflate" : `permessage-deflate; ${params}`;
    test(`accepts ${answer} with preferences ${JSON.stringify(preferences)}`, () => {
      assert.deepEqual(clientTakes(clientDeflateWithFallback(...preferences), answer), agreed);
    });
  }

  // RFC 7692 §7.1: not valid for any offer
  const REFUSED: readonly [string, RegExp][] = [
    ["client_max_window_bits", /got no value/],
    ["server_max_window_bits", /got no value/],
    ["server_max_window_bits=7", /from 8 to 15/],
    ["server_max_window_bits=16", /from 8 to 15/],
    ["client_max_window_bits=08", /from 8 to 15/],
    ["client_max_window_bits=10; client_max_window_bits=10", /came twice/],
    ["server_no_context_takeover; server_no_context_takeover", /came twice/],
    ["server_no_context_takeover=true", /has no value/],
    ["client_no_context_takeover=1", /has no value/],
    ["unknown", /is not a parameter/],
    ["__proto__", /is not a parameter/],
  ];
  for (const [params, message] of REFUSED) {
    test(`fails for ${params}`, () => {
      const result = clientTakes(clientDeflateWithFallback(), `permessage-deflate; ${params}`);
      assert.ok(typeof result === "string");
      assert.match(result, message);
    });
  }

  test("fails for an answer to several of its offers", () => {
    const result = clientTakes(clientDeflateWithFallback(), "permessage-deflate, permessage-deflate");
    assert.ok(typeof result === "string");
    assert.match(result, /came twice/);
  });
});

describe("permessage-deflate, both sides", () => {
  const bits = fc.integer({ min: 8, max: 15 }) as fc.Arbitrary<WindowBits>;
  const preferences: fc.Arbitrary<DeflateOptions> = fc.record(
    {
      serverContextTakeover: fc.boolean(),
      clientContextTakeover: fc.boolean(),
      serverMaxWindowBits: bits,
      clientMaxWindowBits: bits,
    },
    { requiredKeys: [] },
  );

  test("agree for any preferences, and neither must do more than it permits", () => {
    fc.assert(
      fc.property(preferences, fc.array(preferences, { minLength: 1, maxLength: 3 }), (ofServer, ofClient) => {
        const client = clientDeflate(...ofClient);
        const offers = parseExtensions(formatExtensions(client.offers));
        assert.ok(offers !== undefined);
        const [answer] = answerOffers([serverDeflate(ofServer)], offers);
        const result = acceptAnswer([client], formatExtensions([answer]));
        if (result instanceof WebSocketError) throw result;
        const server = answer.negotiated as DeflateParams;
        const agreed = result[0].negotiated as DeflateParams;
        // the client may use less than the server expects, never more
        assert.equal(agreed.serverNoContextTakeover, server.serverNoContextTakeover);
        assert.equal(agreed.serverMaxWindowBits, server.serverMaxWindowBits);
        assert.ok(agreed.clientNoContextTakeover || !server.clientNoContextTakeover);
        assert.ok(agreed.clientMaxWindowBits <= server.clientMaxWindowBits);
        const [first] = ofClient;
        for (const one of [ofServer, first]) {
          assert.ok(one.serverContextTakeover === true || agreed.serverNoContextTakeover);
          assert.ok(one.clientContextTakeover === true || agreed.clientNoContextTakeover);
          assert.ok(agreed.serverMaxWindowBits <= (one.serverMaxWindowBits ?? 15));
        }
        assert.ok(agreed.clientMaxWindowBits <= (first.clientMaxWindowBits ?? 15));
        // a server never keeps a larger window than it prefers
        if (!server.clientNoContextTakeover) {
          assert.ok(server.clientMaxWindowBits <= (ofServer.clientMaxWindowBits ?? 15));
        }
      }),
    );
  });

  test("the directions of one end are those of the other, reversed", () => {
    const params = {
      serverNoContextTakeover: true,
      clientNoContextTakeover: false,
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 12,
    } as const;
    const server = deflateDirections(params, "server");
    const client = deflateDirections(params, "client");
    assert.deepEqual(server.deflate, { contextTakeover: false, windowBits: 9 });
    assert.deepEqual(server.inflate, { contextTakeover: true, windowBits: 12 });
    assert.deepEqual(client.deflate, server.inflate);
    assert.deepEqual(client.inflate, server.deflate);
  });

  test("invalid preferences are rejected", () => {
    const BITS = "an integer from 8 to 15";
    for (const [name, value, expected] of [
      ["serverMaxWindowBits", 7, BITS],
      ["clientMaxWindowBits", 16, BITS],
      ["clientMaxWindowBits", 8.5, BITS],
      ["serverMaxWindowBits", "10", BITS],
      ["serverMaxWindowBits", NaN, BITS],
      ["serverContextTakeover", 1, "a boolean"],
      ["clientContextTakeover", "yes", "a boolean"],
    ] as const) {
      const wish = { [name]: value } as unknown as DeflateOptions;
      const refused = { code: "INVALID_ARGUMENT", message: new RegExp(`^${name} must be ${expected}, got `) };
      assert.throws(() => serverDeflate(wish), refused);
      assert.throws(() => clientDeflate({}, wish), refused);
    }
  });
});
