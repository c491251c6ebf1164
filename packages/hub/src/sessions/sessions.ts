import type { Session } from "./session.ts";

const NOBODY: ReadonlySet<Session> = new Set();

/** The sessions of this node: all of them, and those that are connected by client and by user. */
export class Sessions {
  private readonly open = new Set<Session>();
  private readonly byClient = new Map<string, Session>();
  private readonly byUser = new Map<string, Set<Session>>();

  get size(): number {
    return this.byClient.size;
  }

  /** Different users; all anonymous sessions are one. */
  get users(): number {
    return this.byUser.size;
  }

  /** A session has begun. */
  begin(session: Session): void {
    this.open.add(session);
  }

  /** It is connected. */
  add(session: Session): void {
    this.byClient.set(session.client, session);
    const sessions = this.byUser.get(session.user);
    if (sessions === undefined) this.byUser.set(session.user, new Set([session]));
    else sessions.add(session);
  }

  /** It has ended. */
  end(session: Session): void {
    this.open.delete(session);
    if (!this.byClient.delete(session.client)) return;
    const sessions = this.byUser.get(session.user);
    sessions?.delete(session);
    if (sessions?.size === 0) this.byUser.delete(session.user);
  }

  of(user: string): ReadonlySet<Session> {
    return this.byUser.get(user) ?? NOBODY;
  }

  /**
   * Returns the user's sessions, or the one with the id `client`, as an array: the caller may end
   * them.
   */
  select(user: string, client: string | undefined): readonly Session[] {
    if (client === undefined) return [...this.of(user)];
    const session = this.byClient.get(client);
    return session?.user === user ? [session] : [];
  }

  connected(): readonly Session[] {
    return [...this.byClient.values()];
  }

  /** Those too that are not connected yet. */
  all(): readonly Session[] {
    return [...this.open];
  }
}
