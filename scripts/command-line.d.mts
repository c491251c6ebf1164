/** One option of a script. Without `argument` it takes no value. */
export interface Option<T> {
  readonly argument?: string;
  readonly help: string;
  readonly byDefault: T;
  read(text: string): unknown;
}

type Options = Readonly<Record<string, Option<unknown>>>;

export interface CommandLine<O extends Options> {
  /** How the script is called, for the usage: `npm run soak --`. */
  readonly command: string;
  readonly summary: string;
  readonly options?: O;
  /** Arguments without a name. Default: none are allowed. `read` throws for a wrong one. */
  readonly operands?: { readonly name: string; readonly help: string; readonly read?: (text: string) => string };
  /** Default: those of the process. */
  readonly argv?: readonly string[];
}

export type Values<O extends Options> = { readonly [N in keyof O]: O[N]["byDefault"] } & {
  readonly operands: readonly string[];
  /** Prints one line to stderr and ends the process with status 2. */
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
  /** Throws for a text that does not fit: its message says what was expected. */
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
/** A list with commas between its elements. */
export function someOf<N extends string>(about: Required<readonly NoInfer<N>[]> & Choice<N>): Option<readonly N[]>;
export function someOf<N extends string>(about: Optional & Choice<N>): Option<readonly N[] | undefined>;
