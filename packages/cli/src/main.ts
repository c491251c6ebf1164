import { Command, InvalidArgumentError, Option } from "commander";
import { createRequire } from "node:module";
import type { ConnectFlags } from "./connect-options.ts";
import { secondsOf } from "./duration.ts";
import type { Flags } from "./gather.ts";
import { flagOf, SETTINGS, variableOf } from "./settings.ts";
import { guardOutput } from "./stdio.ts";
import type { TokenFlags } from "./token.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

// Each command loads what it needs when it is run: nobody waits for a server's libraries to send one line.
const program = new Command("tungstate")
  .description("WebSocket servers and clients on the command line")
  .version(version)
  .showHelpAfterError("(--help shows what can be said)")
  .addHelpText(
    "after",
    `
Examples:
  tungstate serve                                        a chat at http://127.0.0.1:8000
  tungstate connect ws://127.0.0.1:8000/ws               talk to it from here
  tungstate help connect                                 all about one command`,
  );

const serve = program
  .command("serve")
  .summary("run a server")
  .description(
    `Runs a server, and prints \`listening on URL\` when it is ready:

  /         a chat in the browser
  /ws       WebSocket: every message from any client goes to all of them
  /echo     WebSocket: every message comes back
  /connection/websocket
            WebSocket: the hub, for clients of the Centrifugo protocol; channels such as public:lobby are for all
  /api/     the hub's HTTP API, with --api-key
  /health   whether it is alive, as JSON
  /metrics  figures for Prometheus

Log lines go to stderr, as JSON. SIGTERM and SIGINT drain: nobody new is let in, all are sent a Close with 1001.`,
  );
for (const [name, { argument, help, byDefault, several, only }] of Object.entries(SETTINGS)) {
  if (only === "file") continue;
  const more = [
    byDefault === undefined ? "" : `default: ${byDefault}`,
    only === undefined ? `env: ${variableOf(name)}` : "",
  ].filter((part) => part !== "");
  const flags = argument === undefined ? flagOf(name) : `${flagOf(name)} ${argument}`;
  const option = new Option(flags, more.length === 0 ? help : `${help} (${more.join(", ")})`);
  serve.addOption(several === true ? option.argParser(collect(asIs)) : option);
}
serve
  .option(
    "--config <file>",
    "settings in a JSON file, by the names of flags in camelCase; flags and environment go before it (env: TUNGSTATE_CONFIG)",
  )
  .action(async (flags: Flags) => (await import("./serve.ts")).serveCommand(flags));

program
  .command("connect")
  .summary("connect to a server")
  .description(
    `Sends each line of stdin as a text message, and prints each message that comes as a line on stdout: text with its control characters as escapes, binary messages as \`base64:\` and their bytes in base64. Everything else goes to stderr.

At the end of stdin it closes with 1000. The exit status is 0 if the server answered that, or closed by itself with 1000 or without a code, or if nobody reads stdout any more. Otherwise it is 1, with a line that says what failed: usage, resolve, bind, connect, proxy, TLS, handshake, stdin or the connection. The first SIGINT or SIGTERM closes with 1000, the second one ends the program with 130 or 143.`,
  )
  .argument("<url>", "ws:, wss: or ws+unix: URL")
  .optionsGroup("Handshake:")
  .option("-H, --header <name: value>", "a header field of the request; may be given several times", collect(header))
  .option("--protocol <name>", "a subprotocol to offer; may be given several times", collect(asIs))
  .option("--origin <origin>", "the Origin to send")
  .optionsGroup("Network:")
  .option(
    "--interface <name>",
    "the network interface to leave by (see `tungstate interfaces`); several are tried in order",
    collect(asIs),
  )
  .option("--bind-device", "Linux: let nothing leave by another one (SO_BINDTODEVICE; needs the package koffi)")
  .option("--local-address <address>", "the local IP address to connect from")
  .option(
    "--proxy <url>",
    "http:, https:, socks4:, socks4a:, socks5:, socks5h: or socks: URL of a proxy; `environment`: as HTTPS_PROXY and NO_PROXY say",
  )
  .option(
    "--proxy-header <name: value>",
    "a header field for an http: or https: proxy; may be given several times",
    collect(header),
  )
  .optionsGroup("TLS:")
  .option("--ca <file>", "trust the certificates in this PEM file, and no others")
  .option("--cert <file>", "show the server the client certificates in this PEM file")
  .option("--key <file>", "their private key, in PEM; default: in the file of --cert")
  .addOption(new Option("--passphrase <text>", "the passphrase of the private key").env("TUNGSTATE_PASSPHRASE"))
  .option("--insecure", "take any certificate: somebody on the way may read along")
  .optionsGroup("Options:")
  .option(
    "--simulate <conditions>",
    "a bad network in between, such as latency=200ms,jitter=50ms,loss-stall=1%; also bandwidth, chunk, half-open, reset, seed and direction",
  )
  .option("--timeout <seconds>", "how long connecting may take", wholeNumber(1, 86_400), 20)
  .option("--compress", "offer the server compression (permessage-deflate)")
  .option("--linger <seconds>", "how long to go on receiving after the end of stdin", wholeNumber(0, 86_400), 0)
  .option(
    "--max-line <bytes>",
    "cut a line of output behind so many bytes; its end and stderr say so",
    wholeNumber(1, 1024 ** 3),
    16 * 1024 ** 2,
  )
  .option("-q, --quiet", "nothing on stderr but errors")
  .addHelpText(
    "after",
    `
Examples:
  echo hello | tungstate connect wss://example.com/socket
  tungstate connect --interface eth1 -H "Authorization: Bearer $TOKEN" wss://example.com/socket
  tungstate connect --proxy socks5h://127.0.0.1:1080 wss://example.com/socket`,
  )
  .action(async (url: string, flags: ConnectFlags) => (await import("./connect.ts")).connectCommand(url, flags));

program
  .command("interfaces")
  .summary("list network interfaces")
  .description("Lists the network interfaces that `connect --interface` can be given, with their addresses.")
  .option("--json", "as JSON, with all that is known of them")
  .action(async (flags: { json?: boolean }) => (await import("./interfaces.ts")).interfacesCommand(flags));

program
  .command("token")
  .summary("make a token for a client of the hub")
  .description("Makes a token for `tungstate serve` with the same secret, and prints it.")
  .requiredOption("--user <name>", "who the client is")
  .option("--ttl <time>", "how long it counts: seconds, or as 15m, 1h, 7d", ttl, 3600)
  .option("--channel <name>", "make it a subscription token, for this channel")
  .addOption(tokenSecret())
  .action(async (flags: TokenFlags) => (await import("./token.ts")).tokenCommand(flags));

function tokenSecret(): Option {
  const option = new Option("--token-secret <secret>", "the secret of tokens (HS256), of at least 32 bytes");
  return option.env("TUNGSTATE_TOKEN_SECRET");
}

function ttl(value: string): number {
  const seconds = secondsOf(value);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError("Expected seconds, or a number with s, m, h or d behind it.");
}

function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}

/** For an option that may be given several times. */
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
