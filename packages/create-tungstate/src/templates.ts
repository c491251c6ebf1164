import { CreateError } from "./errors.ts";
import { nearest } from "./names.ts";

/** A template: a folder of `templates`. */
export interface Template {
  readonly name: string;
  readonly summary: string;
}

/** The template of a command line without `--template`. */
export const DEFAULT_TEMPLATE: Template = {
  name: "chat",
  summary: "a chat with a page for browsers: channels, presence and history",
};

/** All templates, the default first. */
export const TEMPLATES: readonly Template[] = [
  DEFAULT_TEMPLATE,
  { name: "broadcast", summary: "a server that sends each message to all clients" },
  { name: "fastify", summary: "a Fastify application whose users sign in and get tokens" },
  { name: "interface", summary: "a client that connects through a network interface of your choice" },
];

/** Returns a template. Throws a CreateError that names the nearest one if it is unknown. */
export function templateOf(name: string): Template {
  const template = TEMPLATES.find((each) => each.name === name);
  if (template !== undefined) return template;
  const names = TEMPLATES.map((each) => each.name);
  throw new CreateError(
    `unknown template ${JSON.stringify(name)}: did you mean ${nearest(name, names)}? The templates are ${names.join(", ")}`,
    { status: 2 },
  );
}
