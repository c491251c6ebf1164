// A Fastify application. Users sign in with POST /login and get a token, with which they connect to
// the hub.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import process from "node:process";
import { attachSocket, createToken, createTokenVerifier, Hub, HUB_SUBPROTOCOLS } from "@tungstate/hub";
import { fastify } from "fastify";
import { websocket } from "tungstate/fastify";

const host = process.env["HOST"] ?? "127.0.0.1";
const port = Number(process.env["PORT"] ?? 8081);

/** Signs the tokens. With a random secret, they are valid until the server stops. */
const secret = process.env["TOKEN_SECRET"] ?? randomBytes(32).toString("hex");
/** The password of all users. Replace it and `isUser` by the users of your application. */
const password = process.env["PASSWORD"] ?? randomBytes(12).toString("hex");

const TOKEN_TTL = 600; // s; clients get a new token before it expires

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Returns whether the password is right, in a time that does not depend on it. */
function isUser(given: string): boolean {
  return timingSafeEqual(digest(given), digest(password));
}

const hub = new Hub({
  tokens: createTokenVerifier({ keys: [{ algorithm: "HS256", secret }] }),
  namespaces: {
    room: {
      history: { size: 100, ttl: 3_600_000 },
      presence: true,
      subscribe: "authenticated",
      publish: "subscribers",
    },
  },
});
await hub.start();

const app = fastify({ logger: { level: "warn" } });
await app.register(websocket, {
  protocols: HUB_SUBPROTOCOLS,
  maxMessageSize: hub.limits.messageSize,
  // Pages of other origins are rejected by default. This also rejects pages whose name resolves to
  // this machine (DNS rebinding). On another address, list the names of your server.
  allowedHosts: host === "127.0.0.1" ? ["localhost", "127.0.0.1"] : "any",
});

app.post<{ Body: { name: string; password: string } }>(
  "/login",
  {
    schema: {
      body: {
        type: "object",
        required: ["name", "password"],
        properties: { name: { type: "string", minLength: 1, maxLength: 32 }, password: { type: "string" } },
      },
    },
  },
  async ({ body }, reply) => {
    if (!isUser(body.password)) return reply.code(401).send({ error: "the password is wrong" });
    const token = await createToken({ secret, user: body.name, ttl: TOKEN_TTL, info: { name: body.name } });
    return { token };
  },
);
app.get("/connection/websocket", { websocket: true }, (connection, request) => {
  attachSocket(hub, connection, request);
});
app.addHook("preClose", async () => hub.close());

const address = await app.listen({ host, port });
console.log(`listening on ${address}`);
if (process.env["PASSWORD"] === undefined) console.log(`the password until the server stops: ${password}`);

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void app.close());
