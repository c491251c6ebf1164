import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { DeflatePreference } from "../cases/case.ts";
import { type DeflateAgreement, offer, readAnswer } from "../wire/deflate-negotiation.ts";
import { parseHead, request, responseFault } from "../wire/http.ts";
import { startDeadline } from "./deadline.ts";
import { Peer } from "./peer.ts";

/** Connects to a server under test. Rejects if its handshake is invalid. */
export async function connectPeer(
  url: URL,
  preferences: readonly DeflatePreference[],
  deadlineMs: number,
): Promise<Peer> {
  const key = randomBytes(16).toString("base64");
  const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const fail = (reason: string): void => {
      stopListening();
      socket.destroy();
      reject(new Error(`no handshake: ${reason}`));
    };
    const cancel = startDeadline(deadlineMs, () => fail(`nothing within ${deadlineMs} ms`));
    const onError = (error: Error): void => fail(error.message);
    const onEnd = (): void => fail("the connection ended");
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const parsed = parseHead(received);
      if (parsed === undefined) return;
      const extensions = parsed.head.fields.get("sec-websocket-extensions") ?? "";
      const fault = responseFault(parsed.head, key);
      const agreement: DeflateAgreement | string | undefined = fault ?? readAnswer(extensions, preferences);
      if (typeof agreement === "string") {
        fail(agreement);
        return;
      }
      stopListening();
      resolve(new Peer({ socket, role: "client", agreement, head: parsed.rest }));
    };
    const stopListening = (): void => {
      cancel();
      socket.off("error", onError).off("end", onEnd).off("data", onData);
    };
    // Keep one listener for errors after the end.
    socket.on("error", () => {});
    socket.on("error", onError).on("end", onEnd).on("data", onData);
    socket.write(request(url, key, offer(preferences)));
  });
}
