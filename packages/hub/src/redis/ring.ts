import { argumentError } from "tungstate/internal";
const POINTS = 160; // for each member; more points make the shares more equal

/** FNV-1a with a final mix, because most names differ only in their last characters. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Consistent hashing: adding or removing a member moves only the keys of that member. */
export class Ring<Member> {
  private readonly points: readonly number[];
  private readonly owners: readonly Member[];

  /** Members by name; the order makes no difference. At least one. */
  constructor(members: ReadonlyMap<string, Member>) {
    const all: { readonly point: number; readonly name: string; readonly member: Member }[] = [];
    for (const [name, member] of members) {
      for (let i = 0; i < POINTS; i++) all.push({ point: hash(`${name}#${i}`), name, member });
    }
    if (all.length === 0) throw argumentError(TypeError, "a ring must have at least one member");
    all.sort((a, b) => a.point - b.point || (a.name < b.name ? -1 : 1));
    this.points = all.map(({ point }) => point);
    this.owners = all.map(({ member }) => member);
  }

  /** Returns the member that has the key. */
  of(key: string): Member {
    const at = hash(key);
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.points[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    const owner = this.owners[low === this.points.length ? 0 : low];
    if (owner === undefined) throw new Error("internal error: a point of the ring has no owner");
    return owner;
  }
}
