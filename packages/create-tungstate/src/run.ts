import type { Readable, Writable } from "node:stream";
import { resolve } from "node:path";
import process from "node:process";
import { createProject, ownVersion } from "./create.ts";
import { CreateError } from "./errors.ts";
import { checkTaken, help, readOptions } from "./options.ts";
import { Questions } from "./questions.ts";
import { DEFAULT_TEMPLATE, templateOf, type Template } from "./templates.ts";

/** What the program needs of its process. */
export interface Surroundings {
  readonly args: readonly string[];
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  /** Environment variables. npm sets some that describe itself and its options. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Runs the command line. Throws a CreateError if it cannot create the project. */
export async function run({ args, input, output, env }: Surroundings): Promise<void> {
  checkTaken(env);
  const options = readOptions(args);
  if (options.print !== undefined) {
    output.write(options.print === "help" ? help() : `${await ownVersion()}\n`);
    return;
  }
  const given = options.template === undefined ? undefined : templateOf(options.template);
  const { folder, template } = await complete(options.folder, given, { input, output });
  const files = await createProject({ folder, template, name: options.name });
  output.write(nextSteps(folder, template, files.length, managerOf(env["npm_config_user_agent"])));
}

/** Asks for what is missing, on a terminal. Elsewhere the folder is required. */
async function complete(
  folder: string | undefined,
  template: Template | undefined,
  { input, output }: Pick<Surroundings, "input" | "output">,
): Promise<{ folder: string; template: Template }> {
  if (input.isTTY !== true || output.isTTY !== true) {
    if (folder !== undefined) return { folder, template: template ?? DEFAULT_TEMPLATE };
    throw new CreateError("a folder is required: npm create tungstate my-app", { status: 2 });
  }
  if (folder !== undefined && template !== undefined) return { folder, template };
  const questions = new Questions(input, output);
  try {
    return { folder: folder ?? (await questions.folder()), template: template ?? (await questions.template()) };
  } finally {
    questions.close();
  }
}

/** Returns the package manager that started this program: npm, pnpm, yarn or bun. */
function managerOf(userAgent: string | undefined): string {
  return /^(npm|pnpm|yarn|bun)\//.exec(userAgent ?? "")?.[1] ?? "npm";
}

function nextSteps(folder: string, template: Template, files: number, manager: string): string {
  const isHere = resolve(folder) === process.cwd();
  const steps = [
    ...(isHere ? [] : [`cd ${/\s/.test(folder) ? JSON.stringify(folder) : folder}`]),
    `${manager} install`,
    `${manager} start`,
  ];
  return `Created ${files} files of the template ${template.name} in ${folder}. Next:\n\n${steps
    .map((step) => `  ${step}\n`)
    .join("")}\nREADME.md describes the project.\n`;
}
