// Limits of one client of `tungstate serve`, set in the settings file.
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connect, type WebSocketConnection } from "tungstate";
import { Server } from "../support/program.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-limits-"));
after(() => rmSync(folder, { recursive: true }));

interface Reply {
  readonly id?: number;
  readonly error?: { readonly code: number };
}

function written(settings: unknown): string {
  const file = join(folder, "settings.json");
  writeFileSync(file, JSON.stringify(settings));
  return file;
}

/** Sends all commands in one frame. Returns the replies by id, or the code of the Close. */
async function ask(socket: WebSocketConnection, commands: readonly object[]): Promise<readonly Reply[] | number> {
  socket.write(commands.map((command, index) => JSON.stringify({ id: index + 1, ...command })).join("\n"));
  const replies: Reply[] = [];
  for await (const { text } of socket) {
    for (const line of text.split("\n")) {
      const reply = JSON.parse(line) as Reply;
      if (reply.id !== undefined) replies.push(reply);
    }
    if (replies.length === commands.length) return replies;
  }
  return (await socket.closed).code;
}

/** As in RFC 7519. */
function subscriptionToken(key: KeyObject, channel: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "", channel, exp: Math.floor(Date.now() / 1000) + 600 };
  const signed = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

describe("limits in a settings file", { concurrency: 2 }, () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const keyFile = join(folder, "public.pem");
  writeFileSync(keyFile, publicKey.export({ type: "spki", format: "pem" }));
  const commands = [
    { connect: {} },
    ...Array.from({ length: 128 }, (_, index) => {
      const channel = `channel-${index}`;
      return { subscribe: { channel, token: subscriptionToken(privateKey, channel) } };
    }),
  ];

  for (const workers of ["1", "2"]) {
    test(`accepts a frame of 128 subscriptions with RS256 tokens if messageSize allows it, with --workers ${workers}`, async () => {
      const config = written({ limits: { messageSize: 262_144 } });
      const flags = ["--token-public-key", keyFile, "--workers", workers];
      await using server = await Server.start("--config", config, ...flags);
      const replies = await ask(await connect(server.ws("/connection/websocket")), commands);
      assert.ok(typeof replies === "object");
      assert.deepEqual(
        replies.filter(({ error }) => error !== undefined),
        [],
      );
    });
  }

  test("closes with 1009 by default: the frame is too large", async () => {
    await using server = await Server.start("--token-public-key", keyFile);
    assert.equal(await ask(await connect(server.ws("/connection/websocket")), commands), 1009);
  });

  test("allow more than 128 channels, and more than 500 publications at once", async () => {
    const many = [
      { connect: {} },
      ...Array.from({ length: 200 }, (_, index) => ({ subscribe: { channel: `public:${index}` } })),
      ...Array.from({ length: 600 }, (_, index) => ({ publish: { channel: "public:0", data: index } })),
    ];
    const errorsOf = async (server: Server): Promise<number> => {
      const socket = await connect(server.ws("/connection/websocket"));
      const replies = await ask(socket, many);
      socket.terminate();
      assert.ok(typeof replies === "object");
      return replies.filter(({ error }) => error !== undefined).length;
    };
    await using defaultValue = await Server.start();
    assert.ok((await errorsOf(defaultValue)) >= 72 + 50);
    const limits = { channels: 200, pending: 2000, rates: { publish: { perSecond: 1000, burst: 1000 } } };
    await using server = await Server.start("--config", written({ limits }));
    assert.equal(await errorsOf(server), 0);
  });
});
