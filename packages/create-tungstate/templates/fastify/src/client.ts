// Signs in, sends each line of the terminal to a room, and prints what others send:
//    npm run client -- --name ada --password PASSWORD
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Centrifuge, UnauthorizedError } from "centrifuge";
import { WebSocket } from "tungstate/web";

const { values } = parseArgs({
  options: {
    name: { type: "string", default: "ada" },
    password: { type: "string", default: process.env["PASSWORD"] ?? "" },
    url: { type: "string", default: "http://127.0.0.1:8081" },
  },
});

/** Called before the client connects, and before its token expires. */
async function getToken(): Promise<string> {
  const response = await fetch(new URL("/login", values.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: values.name, password: values.password }),
  });
  if (response.status === 401) throw new UnauthorizedError("the password is wrong");
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

const url = new URL("/connection/websocket", values.url);
url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
const client = new Centrifuge(url.href, { getToken, websocket: WebSocket });
const room = client.newSubscription("room:blue");
room.on("publication", ({ data, info }) => {
  console.log(`${info?.user ?? "server"}: ${String((data as { text?: unknown }).text)}`);
});
client.on("connected", () => console.error(`connected as ${values.name}`));
client.on("error", ({ error }) => console.error(error.message));
client.on("disconnected", ({ reason }) => {
  console.error(`disconnected: ${reason}`);
  lines.close();
});
room.subscribe();
client.connect();

const lines = createInterface({ input: process.stdin });
let sent = Promise.resolve();
lines.on("line", (line) => {
  sent = sent.then(async () => {
    await room.publish({ text: line });
  });
  sent.catch((error: unknown) => console.error("not sent:", error));
});
lines.on("close", () => {
  void sent.finally(() => client.disconnect()).catch(() => {});
});
