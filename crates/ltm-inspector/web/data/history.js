// The state after any snapshot. Keeps the state of every 64th snapshot and folds the others from the nearest kept state.
// States share equal parts, so keeping them is cheap.

import { applyPatch } from 'ltm-live';

/** The number of snapshots between two kept states. */
const STRIDE = 64;
/** How long to fold without a pause, in milliseconds: less than a frame. */
const SLICE = 6;

export class History {
  #snapshots = [];
  /** The kept states by the number of snapshots before them, each with the last of those snapshots. */
  #frames = [{ state: {}, last: undefined }];
  #latest = { count: 0, state: {}, last: undefined };

  get length() {
    return this.#snapshots.length;
  }

  /** Takes the current history: it may be longer, or different from some snapshot on. */
  update(snapshots) {
    this.#snapshots = snapshots;
    const holds = ({ last }, count) => count <= snapshots.length && (count === 0 || snapshots[count - 1] === last);
    while (this.#frames.length > 1 && !holds(this.#frames.at(-1), (this.#frames.length - 1) * STRIDE)) this.#frames.pop();
    if (!holds(this.#latest, this.#latest.count)) this.#latest = { count: 0, state: {}, last: undefined };
  }

  /** The state after snapshot `index` (-1: before the first), or undefined if folding it takes too long. */
  now(index) {
    const deadline = performance.now() + SLICE;
    return this.#fold(index + 1, deadline);
  }

  /** The same, in slices that do not block the page. */
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
      // One patch for all of them: a part that several change is copied once.
      const patch = this.#snapshots.slice(at.count, next).flatMap((snapshot) => snapshot.patch);
      at = { count: next, state: applyPatch(at.state, patch), last: this.#snapshots[next - 1] };
      if (next % STRIDE === 0 && next / STRIDE <= this.#frames.length) this.#frames[next / STRIDE] = at;
      this.#latest = at;
    }
    this.#latest = at;
    return at.state;
  }

  /** The nearest known state at or before `count` snapshots. */
  #nearest(count) {
    const frame = Math.min(Math.floor(count / STRIDE), this.#frames.length - 1);
    const kept = { count: frame * STRIDE, ...this.#frames[frame] };
    const latest = this.#latest;
    return latest.count <= count && latest.count >= kept.count ? latest : kept;
  }
}
