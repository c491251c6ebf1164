import type { Manifest } from "../workspaces.mjs";

interface Releasable {
  readonly manifest: Manifest;
  /** Folder in the repository. */
  readonly directory?: string;
  readonly jsr?: { readonly name: string; readonly version: string } | undefined;
}

export interface Owner {
  readonly repository: string;
  readonly scope: string;
  readonly contact: string;
}

export interface TarballSize {
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: number;
}

export function inOrder<T extends Releasable>(packages: readonly T[]): T[];
export function versionProblems(packages: readonly Releasable[]): string[];
export function repositoryOf(address: string, directory: string): { type: string; url: string; directory: string };
export function manifestProblems(of: Releasable, owner: Owner): string[];
export function changelogProblems(changelog: string, version: string): string[];
export function contentProblems(manifest: Manifest, paths: readonly string[]): string[];
export function budgetProblems(
  name: string,
  size: TarballSize,
  budgets: Readonly<Record<string, TarballSize>>,
): string[];
export function ownerGaps(owner: Owner): string[];
export function gitGaps(
  git: { readonly changes: number; readonly tags: readonly string[] },
  changelog: string,
  version: string,
): string[];
export function environmentGaps(env: Readonly<Record<string, string | undefined>>, npmVersion: string): string[];
export function distTagOf(version: string): string;
