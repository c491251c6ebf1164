import type { Random } from "../random.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

const REQUEST: readonly (readonly [name: string, value: string])[] = [
  ["Host", "example.com"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", KEY],
  ["Sec-WebSocket-Version", "13"],
];

/** Values that occur in practice, or could. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  Host: ["", "a:80", "[::1]:8080", "a b", "a,b", "a@b", "a/", "-", "localhost:99999"],
  Upgrade: ["WebSocket", "websocket, h2c", "h2c", "", "websocket,", ",websocket", "web socket", '"websocket"'],
  Connection: ["keep-alive, Upgrade", "upgrade", "close", "", "Upgrade,", "Upgrade keep-alive"],
  "Sec-WebSocket-Key": ["", KEY.slice(1), `${KEY}=`, "AAAAAAAAAAAAAAAAAAAAAB==", "a".repeat(24), ` ${KEY} `],
  "Sec-WebSocket-Version": ["8", "13, 8", "12", "", "013", "+13", "13.0", "0xd"],
  Origin: ["http://example.com", "null", "", "http://a http://b"],
  "Sec-WebSocket-Protocol": ["chat", "chat, super", "chat, chat", "", ",", "a b", "chat,,super"],
  "Sec-WebSocket-Extensions": [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "x; y=1, z",
    "",
    ";",
    'a; b="c"',
    'a; b="',
  ],
  "Content-Length": ["0", "5", "-1", "0, 0"],
  "Transfer-Encoding": ["chunked", "identity"],
  "X-Other": ["a", " ", "\t", "é", "a".repeat(300), "\u0001", "a\r\n b"],
  Expect: ["100-continue"],
  __proto__: ["a"],
};

const RESPONSE: readonly (readonly [name: string, value: string])[] = [
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
];

/** A head: mostly valid, with a few fields changed, omitted, repeated or added. */
function head(random: Random, line: string, right: readonly (readonly [string, string])[]): string {
  const fields = right.map(([name, value]) => [name, value] as const);
  const changes = random.chance(0.3) ? 0 : random.integer(4);
  for (let left = changes; left > 0; left--) {
    const name = random.pick(Object.keys(VALUES));
    const field = [random.chance(0.2) ? name.toLowerCase() : name, random.pick(VALUES[name] ?? [""])] as const;
    const at = fields.findIndex(([each]) => each.toLowerCase() === name.toLowerCase());
    if (at >= 0 && random.chance(0.6)) fields[at] = field;
    else if (at >= 0 && random.chance(0.2)) fields.splice(at, 1);
    else fields.splice(random.integer(fields.length + 1), 0, field);
  }
  if (random.chance(0.01)) for (let more = 0; more < 101; more++) fields.push(["X", ""]);
  const end = random.chance(0.01) ? "\n" : "\r\n";
  const colon = random.chance(0.02) ? random.pick([":", " : ", ":  ", ":\t"]) : ": ";
  return `${line}${end}${fields.map(([name, value]) => `${name}${colon}${value}${end}`).join("")}${end}`;
}

export function requestHead(random: Random): Uint8Array {
  const target = random.pick([
    "/",
    "/",
    "/",
    "/chat?a=b",
    "/%00",
    "http://other.test/x",
    "*",
    "//a",
    "/a b",
    "x",
    "/#a",
  ]);
  const method = random.chance(0.04) ? random.pick(["POST", "get", "CONNECT", "G(T", ""]) : "GET";
  const version = random.chance(0.04) ? random.pick(["1.0", "2.0", "1.2", "1", "9.9"]) : "1.1";
  const before = random.chance(0.03) ? "\r\n" : "";
  const behind = random.chance(0.2) ? random.bytes(random.integer(20)) : new Uint8Array(0);
  const text = before + head(random, `${method} ${random.chance(0.8) ? "/" : target} HTTP/${version}`, REQUEST);
  return Buffer.concat([Buffer.from(text, "latin1"), behind]);
}

export function responseHead(random: Random): Uint8Array {
  const status = random.pick([
    101, 101, 101, 101, 200, 204, 301, 302, 304, 401, 404, 500, 503, 100, 103, 199, 999, 1, 99,
  ]);
  const version = random.chance(0.05) ? random.pick(["1.0", "2.0", "0.9"]) : "1.1";
  const reason = random.pick(["", "OK", "Switching Protocols", "a\tb", "é"]);
  const interim = random.chance(0.1) ? "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" : "";
  const more: (readonly [string, string])[] = random.chance(0.4)
    ? [
        random.pick([
          ["Content-Length", "5"],
          ["Content-Length", "5, 5"],
          ["Content-Length", "x"],
          ["Transfer-Encoding", "chunked"],
          ["Location", "ws://a/"],
        ] as const),
      ]
    : [];
  const fields = status === 101 ? RESPONSE : [...RESPONSE.slice(0, random.integer(2)), ...more];
  const body = random.pick([
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n",
    "fffffffff\r\n",
    "-1\r\n",
    "5\nhello",
    "\x82\x05hello",
  ]);
  return Buffer.from(`${interim}${head(random, `HTTP/${version} ${status} ${reason}`, fields)}${body}`, "latin1");
}

/** A value of Sec-WebSocket-Extensions, composed of the parts of its grammar. */
export function extensionsValue(random: Random): string {
  const space = (): string => (random.chance(0.85) ? "" : random.pick([" ", "  ", "\t", " \t"]));
  const name = (): string =>
    random.pick([
      "permessage-deflate",
      "permessage-deflate",
      "x-webkit-deflate-frame",
      "a",
      "__proto__",
      "constructor",
      "!#$",
    ]);
  const parameter = (): string => {
    const key = random.pick([
      "server_no_context_takeover",
      "client_no_context_takeover",
      "server_max_window_bits",
      "client_max_window_bits",
      "b",
      "__proto__",
    ]);
    const bits = (): string =>
      random.pick(["8", "9", "10", "15", "7", "16", "08", "", "abc", '"10"', '"1\\0"', '"', '"\\', '"a b"', '""']);
    return `${space()};${space()}${key}${random.chance(0.5) ? `${space()}=${space()}${bits()}` : ""}`;
  };
  const elements = Array.from({ length: 1 + random.integer(3) }, () => {
    const parameters = Array.from({ length: random.integer(4) }, parameter).join("");
    return random.chance(0.03) ? "" : `${name()}${parameters}`;
  });
  return space() + elements.join(`${space()},${space()}`) + space();
}
