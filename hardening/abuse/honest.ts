// The honest clients, in a process of their own: what the attackers and the judge cost does not
// delay them. The URL comes by IPC, and the report goes back.
import process from "node:process";
import { Honest } from "./honest-clients.ts";

/** What the honest clients are told. */
export type HonestOrder =
  | { readonly order: "start"; readonly url: string }
  | { readonly order: "reset" }
  | { readonly order: "stop"; readonly timeout: number };

let honest: Honest | undefined;
process.on("unhandledRejection", () => undefined);
process.once("disconnect", () => process.exit());
process.on("message", (message: HonestOrder) => void obey(message));

async function obey(message: HonestOrder): Promise<void> {
  switch (message.order) {
    case "start":
      honest = await Honest.start(message.url);
      process.send?.({});
      return;
    case "reset":
      honest?.reset();
      return;
    case "stop":
      process.send?.((await honest?.stop(message.timeout)) ?? {});
  }
}
