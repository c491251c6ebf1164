import { clientDeflate, formatExtensions, parseExtensions, serverDeflate } from "@tungstate/protocol";
import { type Difference, EXTENSION_DIFFERENCES, type ExtensionVerdicts } from "../differences.ts";
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

/** Ours in the form that ws has: parameters by name. */
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

/** The row of the list that says why ws reads it otherwise; undefined: it reads the same. Throws for a difference that is not there. */
export function compareExtensions(value: string): Difference<ExtensionVerdicts> | undefined {
  const ours = parseExtensions(value);
  const theirs = theirsOf(value);
  if ((ours === undefined ? undefined : inTheirForm(ours)) === theirs) return undefined;
  const verdicts = { value, ours: ours !== undefined, theirs: theirs !== undefined };
  const known = EXTENSION_DIFFERENCES.find(({ is }) => is(verdicts));
  check(
    known !== undefined,
    () => `ws reads ${JSON.stringify(value)} as ${theirs}, here it is ${JSON.stringify(ours)}`,
  );
  return known;
}

export const extensions: Target = {
  name: "extensions",
  about:
    "values of Sec-WebSocket-Extensions: written again they are read the same; negotiation keeps to what was offered; ws reads the same",
  inputs: 500_000,
  generate: (random) => Buffer.from(extensionsValue(random), "latin1"),
  run(input) {
    const value = Buffer.from(input).toString("latin1");
    const offers = parseExtensions(value);
    if (offers !== undefined) {
      const again = parseExtensions(formatExtensions(offers));
      check(JSON.stringify(again) === JSON.stringify(offers), "written and read again it is something else");
      for (const server of servers) checkServer(server, offers);
      for (const { params } of offers) for (const client of clients) client.accept(params);
    }
    compareExtensions(value);
  },
};

/** A server that accepts does so with parameters that it was allowed to choose, and that a client reads. */
function checkServer(server: (typeof servers)[number], offers: NonNullable<ReturnType<typeof parseExtensions>>): void {
  const deflate = offers.filter(({ name }) => name === server.name);
  const answer = server.answer(deflate);
  if (answer === undefined) return;
  const { negotiated } = answer;
  const inRange = (bits: number): boolean => Number.isInteger(bits) && bits >= 8 && bits <= 15;
  check(inRange(negotiated.serverMaxWindowBits) && inRange(negotiated.clientMaxWindowBits), "a window that is none");
  const written = formatExtensions([{ name: server.name, params: answer.params }]);
  check(parseExtensions(written)?.length === 1, () => `the answer ${written}`);
}
