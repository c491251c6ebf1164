/** An option of a script. Without `argument` it is a switch. */
export interface Option<T> {
  readonly argument?: string;
  readonly help: string;
  readonly byDefault: T;
  read(text: string): unknown;
}

type Options = Readonly<Record<string, Option<unknown>>>;

export interface CommandLine<O extends Options> {
  /** The command of the script, for its usage: `npm run soak --`. */
  readonly command: string;
  readonly summary: string;
  readonly options?: O;
  /** Positional arguments. Default: none. `read` throws for an invalid one. */
  readonly operands?: { readonly name: string; readonly help: string; readonly read?: (text: string) => string };
  /** Default: those of the process. */
  readonly argv?: readonly string[];
}

export type Values<O extends Options> = { readonly [N in keyof O]: O[N]["byDefault"] } & {
  readonly operands: readonly string[];
  /** Prints one line to stderr and exits with status 2. */
  readonly fail: (message: string) => never;
};

export function commandLine<O extends Options>(commandLine: CommandLine<O>): Values<O>;

interface Required<T> {
  readonly help: string;
  readonly byDefault: T;
}

interface Optional {
  readonly help: string;
  readonly byDefault?: undefined;
}

interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

interface Text {
  readonly argument?: string;
  /** Parses a value. Throws an error whose message says what was expected. */
  readonly read?: (text: string) => string;
}

interface Choice<N extends string> {
  readonly of: readonly N[];
  readonly argument?: string;
}

export function flag(help: string): Option<boolean>;
export function text(about: Required<string> & Text): Option<string>;
export function text(about: Optional & Text): Option<string | undefined>;
export function integer(about: Required<number> & Bounds): Option<number>;
export function integer(about: Optional & Bounds): Option<number | undefined>;
export function number(about: Required<number> & Bounds & { readonly least: number }): Option<number>;
export function number(about: Optional & Bounds & { readonly least: number }): Option<number | undefined>;
export function oneOf<N extends string>(about: Required<NoInfer<N>> & Choice<N>): Option<N>;
export function oneOf<N extends string>(about: Optional & Choice<N>): Option<N | undefined>;
/** A list separated by commas. */
export function someOf<N extends string>(about: Required<readonly NoInfer<N>[]> & Choice<N>): Option<readonly N[]>;
export function someOf<N extends string>(about: Optional & Choice<N>): Option<readonly N[] | undefined>;
