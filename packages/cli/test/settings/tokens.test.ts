// Tokens verified with public keys, from files and from a JWK set.
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Centrifuge, type DisconnectedContext } from "centrifuge";
import { WebSocket } from "ws";
import { tokenKeys } from "../../src/settings/token-keys.ts";
import { Server } from "../support/program.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-tokens-"));
after(() => rmSync(folder, { recursive: true }));

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const PAIRS: Readonly<Record<string, Pair>> = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
  ES384: generateKeyPairSync("ec", { namedCurve: "secp384r1" }),
  EdDSA: generateKeyPairSync("ed25519"),
};
const HASHES: Readonly<Record<string, string | null>> = {
  RS256: "sha256",
  ES256: "sha256",
  ES384: "sha384",
  EdDSA: null,
};

/** RFC 7519, RFC 7515 §3.1. */
function token(algorithm: string, { privateKey }: Pair, claims: object, kid?: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: algorithm, ...(kid === undefined ? {} : { kid }) })}.${part(claims)}`;
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
  return `${signed}.${sign(HASHES[algorithm], Buffer.from(signed), key).toString("base64url")}`;
}

function pemFile(name: string, key: KeyObject): string {
  const file = join(folder, `${name}.pem`);
  writeFileSync(file, key.export({ type: key.type === "public" ? "spki" : "pkcs8", format: "pem" }));
  return file;
}

/** Connects with a token. Returns true, or the code of the disconnect. */
async function letsIn(server: Server, jwt: string): Promise<true | number> {
  const client = new Centrifuge(server.ws("/connection/websocket"), { websocket: WebSocket, token: jwt });
  try {
    const disconnected = new Promise<number>((resolve) => {
      client.once("disconnected", ({ code }: DisconnectedContext) => resolve(code));
    });
    const connected = new Promise<true>((resolve) => void client.once("connected", () => resolve(true)));
    client.connect();
    return await Promise.race([connected, disconnected]);
  } finally {
    client.disconnect();
  }
}

const INVALID_TOKEN = 3500;

test("--token-public-key verifies RS256, ES256, ES384 and EdDSA tokens, each with its key, and checks issuer and audience", async () => {
  const flags = Object.entries(PAIRS).flatMap(([name, pair]) => ["--token-public-key", pemFile(name, pair.publicKey)]);
  await using server = await Server.start(...flags, "--token-issuer", "us", "--token-audience", "chat");
  const claims = { sub: "alice", iss: "us", aud: "chat", exp: Math.floor(Date.now() / 1000) + 60 };
  for (const [algorithm, pair] of Object.entries(PAIRS)) {
    assert.equal(await letsIn(server, token(algorithm, pair, claims)), true, algorithm);
  }
  const { RS256: rsa, EdDSA: ed } = PAIRS;
  assert.ok(rsa !== undefined && ed !== undefined);
  const other = generateKeyPairSync("ed25519");
  assert.equal(await letsIn(server, token("EdDSA", other, claims)), INVALID_TOKEN);
  // the log names the invalid claim; the client learns only that its token is invalid
  for (const [claim, value] of Object.entries({ iss: "them", aud: "mail", b64info: "?", override: {} })) {
    const wrong = { ...claims, [claim]: value };
    assert.equal(await letsIn(server, token("RS256", rsa, wrong)), INVALID_TOKEN);
    await server.shows(new RegExp(`token\\.${claim} `), "stderr");
  }
});

test("--token-jwks fetches keys", async () => {
  const { ES256: pair } = PAIRS;
  assert.ok(pair !== undefined);
  const set = { keys: [{ ...pair.publicKey.export({ format: "jwk" }), kid: "1", alg: "ES256", use: "sig" }] };
  const keys = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(set));
  });
  await once(keys.listen(0, "127.0.0.1"), "listening");
  const address = keys.address();
  assert.ok(typeof address === "object" && address !== null);
  try {
    await using server = await Server.start("--token-jwks", `http://127.0.0.1:${address.port}/keys`);
    assert.equal(await letsIn(server, token("ES256", pair, { sub: "alice" }, "1")), true);
    const other = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    assert.equal(await letsIn(server, token("ES256", other, { sub: "alice" }, "1")), INVALID_TOKEN);
    // a key added while the server runs
    set.keys.push({ ...other.publicKey.export({ format: "jwk" }), kid: "2", alg: "ES256", use: "sig" });
    assert.equal(await letsIn(server, token("ES256", other, { sub: "alice" }, "2")), true);
  } finally {
    keys.closeAllConnections();
    keys.close();
  }
});

describe("invalid public keys", () => {
  const problems = (file: string): readonly string[] =>
    tokenKeys({
      tokenSecret: undefined,
      tokenPublicKey: [file],
      tokenJwks: undefined,
      tokenAudience: [],
      tokenIssuer: [],
    }).problems;
  const cases: [what: string, file: () => string, problem: string][] = [
    ["nothing", () => join(folder, "nowhere.pem"), "no such file"],
    [
      "a text",
      () => {
        const file = join(folder, "text.pem");
        writeFileSync(file, "text");
        return file;
      },
      "expected a public key in PEM, found none",
    ],
    [
      "a private key",
      () => pemFile("private", generateKeyPairSync("ed25519").privateKey),
      "expected a public key, got a private key",
    ],
    [
      "a short RSA key",
      () => pemFile("short", generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey),
      "expected an RSA key of at least 2048 bits, got 1024",
    ],
    [
      "a key of another kind",
      () => pemFile("x25519", generateKeyPairSync("x25519").publicKey),
      "expected a key for RS256, ES256, ES384, ES512 or EdDSA, got x25519",
    ],
  ];
  for (const [what, file, problem] of cases) {
    test(what, () => {
      const name = file();
      assert.deepEqual(problems(name), [`--token-public-key ${name}: ${problem}`]);
    });
  }

  test("the algorithm is that of the key", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "secp521r1" });
    const { keys } = tokenKeys({
      tokenSecret: undefined,
      tokenPublicKey: [pemFile("p521", publicKey)],
      tokenJwks: undefined,
      tokenAudience: [],
      tokenIssuer: [],
    });
    const [key] = keys;
    assert.ok(key !== undefined && "publicKey" in key && typeof key.publicKey === "string");
    assert.equal(key.algorithm, "ES512");
    assert.equal(createPublicKey(key.publicKey).asymmetricKeyDetails?.namedCurve, "secp521r1");
  });

  test("claims without a key are rejected", () => {
    const { problems: all } = tokenKeys({
      tokenSecret: undefined,
      tokenPublicKey: [],
      tokenJwks: undefined,
      tokenAudience: ["chat"],
      tokenIssuer: ["us"],
    });
    assert.deepEqual(all, [
      "--token-audience requires --token-secret, --token-public-key or --token-jwks",
      "--token-issuer requires --token-secret, --token-public-key or --token-jwks",
    ]);
  });
});
