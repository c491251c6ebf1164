// Arguments of the repository's scripts. A table of options defines parsing, checks and `--help`.
import process from "node:process";
import { parseArgs } from "node:util";

/**
 * Exit status for an invalid command line, as in shells and getopt programs. A failed run has
 * status 1.
 */
const USAGE_STATUS = 2;

/** An invalid value. The message says what was expected. */
class Unfit extends Error {}

/**
 * Returns the values of all options by name, and the positional arguments. `--help` and `-h` print
 * the usage and exit with 0. An invalid argument prints one line to stderr and exits with 2.
 */
export function commandLine({ command, summary, options = {}, operands: operand, argv = process.argv.slice(2) }) {
  const fail = (message) => {
    process.stderr.write(`${command}: ${message} (--help lists the options)\n`);
    process.exit(USAGE_STATUS);
  };
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      help: { type: "boolean", short: "h" },
      ...Object.fromEntries(
        Object.entries(options).map(([name, { argument }]) => [
          name,
          { type: argument === undefined ? "boolean" : "string" },
        ]),
      ),
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if (tokens.some(({ kind, name }) => kind === "option" && name === "help")) {
    process.stdout.write(usage({ command, summary, options, operand }));
    process.exit(0);
  }
  const values = Object.fromEntries(Object.entries(options).map(([name, { byDefault }]) => [name, byDefault]));
  const operands = [];
  /** The reader says what it expected; `where` names the option or argument. */
  const read = (where, reader, text) => {
    try {
      return reader(text);
    } catch (error) {
      if (error instanceof Unfit) return fail(`${where} must be ${error.message}, got ${JSON.stringify(text)}`);
      return fail(`${where}: ${error.message}`);
    }
  };
  for (const { kind, name, rawName, value, inlineValue } of tokens) {
    if (kind === "positional") {
      if (operand === undefined) fail(`unexpected argument ${JSON.stringify(value)}`);
      operands.push(read("an argument", operand.read ?? asIs, value));
    }
    if (kind !== "option") continue;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) fail(`unknown option ${rawName}`);
    if (option.argument === undefined) {
      if (value !== undefined) fail(`${rawName} takes no value`);
      values[name] = true;
      continue;
    }
    // `--minutes --svg x` lacks a value; `--minutes=-1` has one
    if (value === undefined || (!inlineValue && value.startsWith("-"))) fail(`${rawName} requires a value`);
    values[name] = read(rawName, option.read, value);
  }
  return { ...values, operands, fail };
}

const asIs = (text) => text;

function usage({ command, summary, options, operand }) {
  const rows = Object.entries(options).map(([name, { argument, help, byDefault }]) => [
    argument === undefined ? `--${name}` : `--${name} <${argument}>`,
    byDefault === undefined || byDefault === false ? help : `${help} (default: ${shown(byDefault)})`,
  ]);
  rows.push(["-h, --help", "print this text"]);
  if (operand !== undefined) rows.unshift([`<${operand.name}>`, operand.help]);
  const width = Math.max(...rows.map(([left]) => left.length));
  const list = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
  const line = [command, "[options]", ...(operand === undefined ? [] : [`[${operand.name}...]`])].join(" ");
  return `Usage: ${line}\n\n${summary}\n\n${list}`;
}

function shown(value) {
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** A switch: false unless given. */
export function flag(help) {
  return { help, byDefault: false, read: asIs };
}

export function text({ argument = "text", help, byDefault, read = asIs }) {
  return { argument, help, byDefault, read };
}

export function integer({ least = 0, most = Number.MAX_SAFE_INTEGER, help, byDefault }) {
  const expected = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    argument: "count",
    help,
    byDefault,
    read(text) {
      const value = Number(text);
      if (/^\d+$/.test(text) && value >= least && value <= most) return value;
      throw new Unfit(`an integer ${expected}`);
    },
  };
}

export function number({ least, most = Infinity, help, byDefault }) {
  const expected = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  return {
    argument: "number",
    help,
    byDefault,
    read(text) {
      const value = Number(text);
      if (/^\d*\.?\d+$/.test(text) && value >= least && value <= most) return value;
      throw new Unfit(`a number ${expected}`);
    },
  };
}

export function oneOf({ of, argument = "name", help, byDefault }) {
  return { argument, help: `${help}: ${of.join(", ")}`, byDefault, read: (text) => choose(of, text) };
}

/** A list separated by commas. */
export function someOf({ of, argument = "names", help, byDefault }) {
  return {
    argument,
    help: `${help}: some of ${of.join(", ")}`,
    byDefault,
    read: (list) => list.split(",").map((text) => choose(of, text)),
  };
}

function choose(of, text) {
  if (of.includes(text)) return text;
  throw new Unfit(`one of ${of.join(", ")}`);
}
