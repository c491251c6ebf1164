import type { NamespaceOptions } from "@tungstate/hub";

/** What `tungstate serve` is told of its hub. */
export interface HubOptions {
  /** Of connection and subscription tokens (HS256). Without it no token counts. */
  readonly tokenSecret?: string;
  /** Turn the HTTP API on. */
  readonly apiKey?: readonly string[];
  /** Namespaces beside `public`, whose channels need a token. */
  readonly namespace?: readonly string[];
  /** Namespaces and their options, which may be other ones of `public` and "" too. */
  readonly namespaces?: Readonly<Record<string, NamespaceOptions>>;
}

const SHORTEST_SECRET = 32; // bytes; RFC 7518 §3.2 for HS256
const SHORTEST_KEY = 16; // characters

/** All that is wrong with them; it never has a secret in it. */
export function problemsOf({ tokenSecret, apiKey = [], namespace = [] }: HubOptions): string[] {
  const problems: string[] = [];
  if (tokenSecret !== undefined && Buffer.byteLength(tokenSecret) < SHORTEST_SECRET) {
    const got = Buffer.byteLength(tokenSecret);
    problems.push(`--token-secret has to have at least ${SHORTEST_SECRET} bytes, got ${got}`);
  }
  for (const { length } of apiKey) {
    if (length < SHORTEST_KEY)
      problems.push(`--api-key has to have at least ${SHORTEST_KEY} characters, got ${length}`);
  }
  for (const name of namespace) {
    if (!/^[-\w]+$/.test(name)) problems.push(`--namespace has to consist of letters, digits, _ and -, got "${name}"`);
    else if (name === "public") problems.push("--namespace: public is there already, and needs no token");
  }
  return problems;
}
