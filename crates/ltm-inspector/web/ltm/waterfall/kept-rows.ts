// Draws the rows of the waterfall again: at once if the user changed something, over some frames if only time went on.

import type { VNode } from 'preact';

/** The rows that a call draws again if only their picture changed: each takes a slow CPU some milliseconds. */
const AT_ONCE = 6;
/** The rows that a call draws first: more of them, as their places are empty until then. */
const NEW_AT_ONCE = 10;

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

  /** The rows, and whether some are missing or show an older picture. Preact skips a node that it has drawn before. */
  draw({ from, to, picture, place, draw }: Wanted): { nodes: VNode[]; behind: boolean } {
    this.#turn += 1;
    for (const index of this.#kept.keys()) if (index < from || index >= to) this.#kept.delete(index);
    const fresh: number[] = [];
    const moved: number[] = [];
    const old: { index: number; turn: number }[] = [];
    for (let index = from; index < to; index += 1) {
      const it = this.#kept.get(index);
      if (!it) fresh.push(index);
      else if (place(index).some((value, at) => value !== it.place[at])) moved.push(index);
      else if (it.picture !== picture) old.push({ index, turn: it.turn });
    }
    const again = old.sort((a, b) => a.turn - b.turn).slice(0, AT_ONCE).map(({ index }) => index);
    for (const index of [...fresh.slice(0, NEW_AT_ONCE), ...moved, ...again]) {
      this.#kept.set(index, { node: draw(index), picture, place: place(index), turn: this.#turn });
    }
    const nodes = [...this.#kept].sort(([a], [b]) => a - b).map(([, { node }]) => node);
    return { nodes, behind: fresh.length > NEW_AT_ONCE || old.length > AT_ONCE };
  }
}
