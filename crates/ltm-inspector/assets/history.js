// The state after any snapshot. Every so many snapshots a state is kept; others are folded from the one before them.
// States share what they have in common, so that keeping them is cheap.

import { Draft } from './patch.js';

/** Snapshots from one kept state to the next. */
const STRIDE = 64;
/** How long to fold in one go, in milliseconds: less than a frame. */
const SLICE = 6;

export class History {
  #snapshots = [];
  /** Kept states by the number of snapshots that led to them, with the last of those. */
  #frames = [{ state: {}, last: undefined }];
  #latest = { count: 0, state: {}, last: undefined };

  get length() {
    return this.#snapshots.length;
  }

  /** Takes the history as it is now: longer, or another one from some snapshot on. */
  update(snapshots) {
    this.#snapshots = snapshots;
    const holds = ({ last }, count) => count <= snapshots.length && (count === 0 || snapshots[count - 1] === last);
    while (this.#frames.length > 1 && !holds(this.#frames.at(-1), (this.#frames.length - 1) * STRIDE)) this.#frames.pop();
    if (!holds(this.#latest, this.#latest.count)) this.#latest = { count: 0, state: {}, last: undefined };
  }

  /** The state after snapshot `index`, where folding it takes no longer than a moment; else undefined. -1: before the start. */
  now(index) {
    const deadline = performance.now() + SLICE;
    return this.#fold(index + 1, deadline);
  }

  /** The same, however long it takes, without holding up the page. */
  async at(index, signal) {
    for (;;) {
      signal?.throwIfAborted();
      const state = this.now(index);
      if (state !== undefined) return state;
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  #fold(count, deadline) {
    if (count > this.#snapshots.length) throw new RangeError('no such snapshot');
    let at = this.#nearest(count);
    while (at.count < count) {
      if (performance.now() > deadline) return undefined;
      const next = Math.min(count, (Math.floor(at.count / STRIDE) + 1) * STRIDE);
      const draft = new Draft(at.state);
      for (let i = at.count; i < next; i += 1) draft.apply(this.#snapshots[i].patch);
      at = { count: next, state: draft.value, last: this.#snapshots[next - 1] };
      if (next % STRIDE === 0 && next / STRIDE <= this.#frames.length) this.#frames[next / STRIDE] = at;
      this.#latest = at;
    }
    this.#latest = at;
    return at.state;
  }

  /** The nearest state that is known, not after `count` snapshots. */
  #nearest(count) {
    const frame = Math.min(Math.floor(count / STRIDE), this.#frames.length - 1);
    const kept = { count: frame * STRIDE, ...this.#frames[frame] };
    const latest = this.#latest;
    return latest.count <= count && latest.count >= kept.count ? latest : kept;
  }
}
