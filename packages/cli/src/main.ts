import { Command, InvalidArgumentError, Option } from "commander";
import { createRequire } from "node:module";
import type { ConnectFlags } from "./connect/options.ts";
import { secondsOf } from "./system/duration.ts";
import type { Flags } from "./settings/read-settings.ts";
import { flagOf, SETTINGS, variableOf } from "./settings/settings.ts";
import { guardOutput } from "./system/stdio.ts";
import type { TokenFlags } from "./commands/token.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

// Each command imports its modules when it runs: `connect` does not load the server's libraries.
const program = new Command("tungstate")
  .description("WebSocket server and client for the command line")
  .version(version)
  .showHelpAfterError("(see --help)")
  .addHelpText(
    "after",
    `
Examples:
  tungstate serve                                        serve a chat at http://127.0.0.1:8000
  tungstate connect ws://127.0.0.1:8000/ws               join the chat from the terminal
  tungstate help connect                                 show the options of connect`,
  );

const serve = program
  .command("serve")
  .summary("run a server")
  .description(
    `Runs a server and prints \`listening on URL\` when it is ready.

  /         web page with a chat
  /ws       WebSocket: broadcasts every message to all clients
  /echo     WebSocket: returns every message to its sender
  /connection/websocket
            WebSocket: the hub, for clients of the Centrifugo protocol; channels such as public:lobby are open to all
  /api/     HTTP API of the hub, with --api-key
  /health   liveness, as JSON
  /metrics  metrics for Prometheus

Log lines are written to stderr as JSON. SIGTERM and SIGINT drain the server: it stops accepting connections and closes all open ones with 1001.`,
  );
for (const [name, { argument, help, defaultValue, repeatable, only }] of Object.entries(SETTINGS)) {
  if (only === "file") continue;
  const more = [
    defaultValue === undefined ? "" : `default: ${defaultValue}`,
    only === undefined ? `env: ${variableOf(name)}` : "",
  ].filter((part) => part !== "");
  const flags = argument === undefined ? flagOf(name) : `${flagOf(name)} ${argument}`;
  const option = new Option(flags, more.length === 0 ? help : `${help} (${more.join(", ")})`);
  serve.addOption(repeatable === true ? option.argParser(collect(asIs)) : option);
}
serve
  .option(
    "--config <file>",
    "JSON settings file; members are flag names in camelCase; flags and environment variables take precedence (env: TUNGSTATE_CONFIG)",
  )
  .action(async (flags: Flags) => (await import("./commands/serve.ts")).serveCommand(flags));

program
  .command("connect")
  .summary("connect to a server")
  .description(
    `Sends each line of stdin as a text message and prints each received message as a line on stdout. Control characters in text are escaped; binary messages are printed as \`base64:\` and their bytes in base64. Everything else goes to stderr.

At the end of stdin it closes with 1000. The exit status is 0 if the server answers that, or closes by itself with 1000 or without a code, or if stdout is closed. Otherwise it is 1, and a line on stderr names the step that failed: usage, resolve, bind, connect, proxy, TLS, settings, handshake, stdin or the connection. The first SIGINT or SIGTERM closes with 1000; the second ends the program with status 130 or 143.`,
  )
  .argument("<url>", "ws:, wss: or ws+unix: URL")
  .optionsGroup("Handshake:")
  .option("-H, --header <name: value>", "header field of the request; repeatable", collect(header))
  .option("--protocol <name>", "subprotocol to offer; repeatable", collect(asIs))
  .option("--origin <origin>", "value of the Origin header field")
  .option("--http2", "use HTTP/2, by prior knowledge for ws:; fail if the server does not support WebSocket over it")
  .optionsGroup("Network:")
  .option(
    "--interface <name>",
    "network interface to connect from (see `tungstate interfaces`); repeatable, tried in order",
    collect(asIs),
  )
  .option("--bind-device", "Linux: never use another interface (SO_BINDTODEVICE; requires the package koffi)")
  .option("--local-address <address>", "local IP address to connect from")
  .option(
    "--proxy <url>",
    "http:, https:, socks4:, socks4a:, socks5:, socks5h: or socks: URL of a proxy; `environment` uses HTTPS_PROXY and NO_PROXY",
  )
  .option("--proxy-header <name: value>", "header field for an http: or https: proxy; repeatable", collect(header))
  .optionsGroup("TLS:")
  .option("--ca <file>", "trust only the CA certificates in this PEM file")
  .option("--cert <file>", "client certificate chain, in PEM")
  .option("--key <file>", "private key of the client certificate, in PEM; default: the file of --cert")
  .addOption(new Option("--passphrase <text>", "passphrase of the private key").env("TUNGSTATE_PASSPHRASE"))
  .option("--insecure", "do not verify the server's certificate; the connection can be intercepted")
  .optionsGroup("Options:")
  .option(
    "--simulate <conditions>",
    "simulate network conditions, such as latency=200ms,jitter=50ms,loss-stall=1%; also bandwidth, chunk, half-open, reset, seed and direction",
  )
  .option("--timeout <seconds>", "time limit for connecting", wholeNumber(1, 86_400), 20)
  .option("--compress", "offer compression (permessage-deflate)")
  .option("--linger <seconds>", "time to keep receiving after the end of stdin", wholeNumber(0, 86_400), 0)
  .option(
    "--max-line <bytes>",
    "truncate output lines after this many bytes and report it on stderr",
    wholeNumber(1, 1024 ** 3),
    16 * 1024 ** 2,
  )
  .option("-q, --quiet", "print only errors to stderr")
  .addHelpText(
    "after",
    `
Examples:
  echo hello | tungstate connect wss://example.com/socket
  tungstate connect --interface eth1 -H "Authorization: Bearer $TOKEN" wss://example.com/socket
  tungstate connect --proxy socks5h://127.0.0.1:1080 wss://example.com/socket`,
  )
  .action(async (url: string, flags: ConnectFlags) =>
    (await import("./commands/connect.ts")).connectCommand(url, flags),
  );

program
  .command("interfaces")
  .summary("list network interfaces")
  .description("Lists the network interfaces that `connect --interface` accepts, with their addresses.")
  .option("--json", "print JSON with all properties")
  .action(async (flags: { json?: boolean }) => (await import("./commands/interfaces.ts")).interfacesCommand(flags));

program
  .command("token")
  .summary("create a token for a client of the hub")
  .description("Creates a token for a `tungstate serve` with the same secret and prints it.")
  .requiredOption("--user <name>", "user ID of the client")
  .option("--ttl <time>", "lifetime: seconds, or a value such as 15m, 1h or 7d", ttl, 3600)
  .option("--channel <name>", "create a subscription token for this channel")
  .addOption(tokenSecret())
  .action(async (flags: TokenFlags) => (await import("./commands/token.ts")).tokenCommand(flags));

function tokenSecret(): Option {
  const option = new Option("--token-secret <secret>", "secret for signing tokens (HS256), at least 32 bytes");
  return option.env("TUNGSTATE_TOKEN_SECRET");
}

function ttl(value: string): number {
  const seconds = secondsOf(value);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError("Expected seconds, or a number followed by s, m, h or d.");
}

function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected an integer from ${least} to ${most}.`);
  };
}

/** Returns a Commander parser that collects the values of a repeatable option. */
function collect<T>(parse: (value: string) => T): (value: string, before?: readonly T[]) => T[] {
  return (value, before = []) => [...before, parse(value)];
}

function asIs(value: string): string {
  return value;
}

function header(value: string): readonly [string, string] {
  const colon = value.indexOf(":");
  if (colon < 1) throw new InvalidArgumentError("Expected a name, a colon and a value.");
  return [value.slice(0, colon).trim(), value.slice(colon + 1).trim()];
}

guardOutput();
await program.parseAsync();
