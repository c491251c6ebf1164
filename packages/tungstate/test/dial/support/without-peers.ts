// Dials as if koffi were not installed, and prints the errors.
import { register } from "node:module";
import type { DialOptions } from "../../../src/dial/options.ts";
import type { ConnectError } from "../../../src/errors.ts";

const hooks = `
  export async function resolve(specifier, context, next) {
    if (specifier === "koffi") {
      throw Object.assign(new Error("Cannot find package " + specifier), { code: "ERR_MODULE_NOT_FOUND" });
    }
    return next(specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const { dial } = await import("../../../src/dial/dial.ts");
const { LOOPBACK } = await import("./peers.ts");

const outcomes: unknown[] = [];
async function attempt(options: DialOptions): Promise<void> {
  const outcome = await dial({ host: "127.0.0.1", port: 9 }, options).then(
    () => "connected",
    ({ code, step, message }: ConnectError) => [code, step, message],
  );
  outcomes.push(outcome);
}

// On other platforms than Linux, what remains is tried as on Linux.
Object.defineProperty(process, "platform", { value: "linux" });
await attempt({ interface: LOOPBACK, bindToDevice: true });
await attempt({ tcpUserTimeout: 1_000 });
Object.defineProperty(process, "platform", { value: "darwin" });
await attempt({ interface: LOOPBACK, bindToDevice: true });
console.log(JSON.stringify(outcomes));
