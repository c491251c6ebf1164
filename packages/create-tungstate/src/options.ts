import { parseArgs } from "node:util";
import { CreateError } from "./errors.ts";
import { DEFAULT_TEMPLATE, TEMPLATES } from "./templates.ts";

/** The command line. */
export interface Options {
  readonly folder: string | undefined;
  readonly template: string | undefined;
  readonly name: string | undefined;
  /** What to print instead of creating a project. */
  readonly print: "help" | "version" | undefined;
}

/** Returns the options. Throws a CreateError if an argument is invalid. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  if (positionals.length > 1) {
    throw new CreateError(`unexpected argument ${JSON.stringify(positionals[1])}: there can be one folder`, {
      status: 2,
    });
  }
  if (positionals[0] === "") {
    throw new CreateError('the folder is an empty string: give its name, or "." for this folder', { status: 2 });
  }
  return {
    folder: positionals[0],
    template: values.template,
    name: values.name,
    print: values.help === true ? "help" : values.version === true ? "version" : undefined,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        template: { type: "string", short: "t" },
        name: { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
      },
      allowPositionals: true,
    });
  } catch (error) {
    // the first sentence of Node.js says which argument is wrong; the rest is advice for programmers
    const [reason = ""] = String((error as Error).message).split(". ");
    throw new CreateError(`${reason.replace(/\.$/, "")} (--help lists the options)`, { status: 2, cause: error });
  }
}

/**
 * Throws a CreateError if npm has taken an option: it does so with all options before `--`, and sets
 * an environment variable for each. The project would silently be another one than requested.
 */
export function checkTaken(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, option] of [
    ["template", "--template"],
    ["t", "-t"],
    ["name", "--name"],
  ] as const) {
    if (env[`npm_config_${name}`] === undefined) continue;
    throw new CreateError(
      `npm took ${option} as an option of its own. Put -- before the options, in PowerShell with quotes: ` +
        "npm create tungstate my-app -- --template chat",
      { status: 2 },
    );
  }
}

/** Returns the text of `--help`. */
export function help(): string {
  const width = Math.max(...TEMPLATES.map(({ name }) => name.length));
  const templates = TEMPLATES.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`).join("");
  return `Usage: npm create tungstate [folder] -- [options]

Creates a project in a new or empty folder. Asks for what is missing when it runs in a terminal.

  -t, --template <name>  the template (default: ${DEFAULT_TEMPLATE.name})
  --name <name>          the name in package.json (default: that of the folder)
  -h, --help             print this text
  -v, --version          print the version

Templates:
${templates}`;
}
