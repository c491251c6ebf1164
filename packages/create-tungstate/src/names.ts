import { CreateError } from "./errors.ts";

const MAX_NAME_LENGTH = 214; // characters, as the npm registry requires

/** Names that npm does not accept. */
const RESERVED: ReadonlySet<string> = new Set(["node_modules", "favicon.ico"]);

/** Returns a problem of a package name, or undefined if npm accepts it. */
export function problemOf(name: string): string | undefined {
  if (name === "") return "it is empty";
  if (name.length > MAX_NAME_LENGTH) return `it has more than ${MAX_NAME_LENGTH} characters`;
  if (RESERVED.has(name)) return "npm reserves it";
  if (/^[._-]/.test(name)) return "it must begin with a letter or a digit";
  if (/[A-Z]/.test(name)) return "it must not contain capital letters";
  if (!/^[a-z0-9._-]+$/.test(name)) return "it may contain letters, digits, and - . _ only";
  return undefined;
}

/** Returns a valid package name that resembles `name`. */
export function suggestionFor(name: string): string {
  const words = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const suggestion = words.slice(0, MAX_NAME_LENGTH);
  return problemOf(suggestion) === undefined ? suggestion : "my-app";
}

/** Throws a CreateError if npm does not accept the name. */
export function checkName(name: string): void {
  const problem = problemOf(name);
  if (problem === undefined) return;
  throw new CreateError(
    `the name of the project must be a package name, got ${JSON.stringify(name)}: ${problem}. ` +
      `Try ${suggestionFor(name)}, or set the name with --name`,
    { status: 2 },
  );
}

/** Returns the number of letters that must be changed, inserted or deleted to get from a to b. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Returns the candidate that is most similar to `name`, in any case. `candidates` is not empty. */
export function nearest(name: string, candidates: readonly string[]): string {
  const wanted = name.toLowerCase();
  const rank = (candidate: string): number =>
    distance(wanted, candidate) - (wanted !== "" && candidate.startsWith(wanted) ? candidate.length : 0);
  return candidates.toSorted((a, b) => rank(a) - rank(b))[0] ?? "";
}
