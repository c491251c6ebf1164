import { DISCONNECTS } from "../codes.ts";
import type { Control } from "../nodes/control.ts";
import type { Namespace } from "../settings/namespaces.ts";
import type { Parts } from "./parts.ts";
import { messagePush } from "../protocol/encode.ts";
import { subscribeByServer } from "./server-subscription.ts";
import type { Session } from "./session.ts";

/** What is about the sessions of a user. */
export type SessionControl = Extract<Control, { readonly user: string }>;

/** Sessions that are dealt with between two looks at the time. */
const AT_ONCE = 64;

/**
 * Does to the sessions of this node what a server wants of a user's. Other work has its turn
 * meanwhile. `namespaceOf` throws where there is none.
 */
export async function applyControl(
  control: SessionControl,
  parts: Parts,
  namespaceOf: (channel: string) => Namespace,
): Promise<void> {
  const sessions = parts.registry.select(control.user, control.client);
  const each = effectOf(control, parts, namespaceOf);
  await parts.slices.each(sessions, AT_ONCE, async (some) => {
    await Promise.all(some.map(each));
  });
}

function effectOf(
  control: SessionControl,
  parts: Parts,
  namespaceOf: (channel: string) => Namespace,
): (session: Session) => Promise<void> {
  switch (control.type) {
    case "disconnect": {
      const except = new Set(control.except);
      return async (session) => {
        if (!except.has(session.client)) session.close(control);
      };
    }
    case "unsubscribe":
      return async (session) => session.expel(control.channel, control);
    case "message": {
      const push = messagePush(control.data);
      return async (session) => session.outbox.line(push);
    }
    case "refresh":
      return async (session) => {
        if ((session.secondsTo(control.expireAt) ?? 1) <= 0) session.close(DISCONNECTS.EXPIRED);
        else session.refresh(control.expireAt, true);
        if (control.info !== undefined) session.describe(JSON.parse(control.info) as unknown, undefined);
      };
    case "subscribe": {
      const namespace = namespaceOf(control.channel);
      const request = { ...control, byCredentials: false };
      return (session) => subscribeByServer(session, parts, namespace, request);
    }
  }
}
