/** An entry of the navigation: a page, or a page with a title of its own. */
type Entry = string | { readonly page: string; readonly title: string };

/** A section or a group of the navigation. */
interface Section {
  readonly title: string;
  readonly pages?: readonly Entry[];
  readonly groups?: readonly Section[];
}

export function navigationFaults(
  sections: readonly Section[],
  required: readonly string[],
  exists: (page: string) => boolean,
): string[];

export function checkNavigation(): string[];
