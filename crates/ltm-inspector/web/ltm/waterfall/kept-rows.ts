// Draws rows again: what the user changed at once, and what time changed over some frames.

import type { VNode } from 'preact';

/** The rows that a call draws again if only their picture changed: each takes a slow CPU some milliseconds. */
const AT_ONCE = 6;

interface Kept {
  node: VNode;
  picture: object;
  place: readonly unknown[];
  /** The call that drew it. */
  turn: number;
}

export interface Wanted {
  from: number;
  /** Excluded. */
  to: number;
  /** What all rows are drawn from. A row may show an older one for some frames. */
  picture: object;
  /** What a row must never show an older value of. */
  place(index: number): readonly unknown[];
  draw(index: number): VNode;
}

export class KeptRows {
  #kept = new Map<number, Kept>();
  #turn = 0;

  /** The rows, and whether some of them still show an older picture. Preact skips a node that it has drawn before. */
  draw({ from, to, picture, place, draw }: Wanted): { nodes: VNode[]; behind: boolean } {
    this.#turn += 1;
    for (const index of this.#kept.keys()) if (index < from || index >= to) this.#kept.delete(index);
    const rows = Array.from({ length: to - from }, (_, nth) => ({ index: from + nth, place: place(from + nth) }));
    const held = rows.flatMap(({ index, place }) => {
      const it = this.#kept.get(index);
      return it?.place.every((value, at) => value === place[at]) ? { index, ...it } : [];
    });
    const old = held.filter((it) => it.picture !== picture).sort((a, b) => a.turn - b.turn);
    const again = new Set(old.slice(0, AT_ONCE).map(({ index }) => index));
    const stay = new Map(held.filter(({ index }) => !again.has(index)).map(({ index, node }) => [index, node]));
    const nodes = rows.map(({ index, place }) => {
      const node = stay.get(index) ?? draw(index);
      if (!stay.has(index)) this.#kept.set(index, { node, picture, place, turn: this.#turn });
      return node;
    });
    return { nodes, behind: old.length > AT_ONCE };
  }
}
