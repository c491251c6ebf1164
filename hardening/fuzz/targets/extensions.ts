import { clientDeflate, formatExtensions, parseExtensions, serverDeflate } from "@tungstate/protocol";
import { type Difference, EXTENSION_DIFFERENCES, type ExtensionResults } from "../differences.ts";
import { extensionsValue } from "../generate/heads.ts";
import { check, type Target } from "../target.ts";
import { extension } from "./ws-parts.ts";

const servers = [
  serverDeflate(),
  serverDeflate({
    serverContextTakeover: true,
    clientContextTakeover: true,
    serverMaxWindowBits: 10,
    clientMaxWindowBits: 9,
  }),
];
const clients = [
  clientDeflate(),
  clientDeflate(
    { serverContextTakeover: true, clientContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
    {},
  ),
];

function theirsOf(value: string): string | undefined {
  try {
    return JSON.stringify(Object.entries(extension.parse(value)));
  } catch (error) {
    check(error instanceof SyntaxError, () => `ws throws ${String(error)}`);
    return undefined;
  }
}

/** Our result in the form of ws: parameters by name. */
function inTheirForm(offers: NonNullable<ReturnType<typeof parseExtensions>>): string {
  const byName = new Map<string, Map<string, unknown[]>[]>();
  for (const { name, params } of offers) {
    const grouped = new Map<string, unknown[]>();
    for (const [key, value] of params) grouped.set(key, [...(grouped.get(key) ?? []), value]);
    byName.set(name, [...(byName.get(name) ?? []), grouped]);
  }
  // as objects without a prototype, whose keys may be anything
  const objectOf = (entries: Map<string, unknown>): object => {
    const object = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of entries) object[key] = value;
    return object;
  };
  return JSON.stringify(
    Object.entries(objectOf(new Map([...byName].map(([name, list]) => [name, list.map(objectOf)])))),
  );
}

/**
 * Returns the listed reason why ws parses it differently, or undefined if it parses the same.
 * Throws for an unlisted difference.
 */
export function compareExtensions(value: string): Difference<ExtensionResults> | undefined {
  const ours = parseExtensions(value);
  const theirs = theirsOf(value);
  if ((ours === undefined ? undefined : inTheirForm(ours)) === theirs) return undefined;
  const results = { value, ours: ours !== undefined, theirs: theirs !== undefined };
  const known = EXTENSION_DIFFERENCES.find(({ is }) => is(results));
  check(
    known !== undefined,
    () => `ws reads ${JSON.stringify(value)} as ${theirs}, here it is ${JSON.stringify(ours)}`,
  );
  return known;
}

export const extensions: Target = {
  name: "extensions",
  about:
    "values of Sec-WebSocket-Extensions: formatted and parsed again they are equal; negotiation follows the offer; ws parses the same",
  inputs: 500_000,
  generate: (random) => Buffer.from(extensionsValue(random), "latin1"),
  run(input) {
    const value = Buffer.from(input).toString("latin1");
    const offers = parseExtensions(value);
    if (offers !== undefined) {
      const again = parseExtensions(formatExtensions(offers));
      check(JSON.stringify(again) === JSON.stringify(offers), "formatted and parsed again it differs");
      for (const server of servers) checkServer(server, offers);
      for (const { params } of offers) for (const client of clients) client.accept(params);
    }
    compareExtensions(value);
  },
};

/**
 * A server that accepts must respond with parameters that were permitted and that a client accepts.
 */
function checkServer(server: (typeof servers)[number], offers: NonNullable<ReturnType<typeof parseExtensions>>): void {
  const deflate = offers.filter(({ name }) => name === server.name);
  const answer = server.answer(deflate);
  if (answer === undefined) return;
  const { negotiated } = answer;
  const inRange = (bits: number): boolean => Number.isInteger(bits) && bits >= 8 && bits <= 15;
  check(inRange(negotiated.serverMaxWindowBits) && inRange(negotiated.clientMaxWindowBits), "an invalid window");
  const written = formatExtensions([{ name: server.name, params: answer.params }]);
  check(parseExtensions(written)?.length === 1, () => `the response ${written}`);
}
