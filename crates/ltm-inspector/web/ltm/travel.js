// The chosen snapshot, and its state.

import { History } from '../data/history.js';
import { Queues } from '../data/steps.js';

export class Travel {
  #history = new History();
  #queues = new Queues();
  #folding = null;
  #error = null;

  /** `pinned`: the chosen index, or null for the live end. Calls `onState` when a state that took longer to fold is ready. */
  constructor(pinned, onState) {
    Object.assign(this, { pinned, onState });
  }

  /** Takes a new view of the LTM. Returns false if the chosen snapshot is gone: then the live end is shown. */
  update(view) {
    if (view.snapshots !== this.view?.snapshots) {
      this.#history.update(view.snapshots);
      this.#queues.update(view.snapshots);
      this.#error = null;
    }
    this.view = view;
    // A trimmed history begins at a higher index; its first snapshot stands for all removed ones.
    this.first = view.firstIndex;
    this.last = this.first + view.snapshots.length - 1;
    if (this.pinned === null || view.status === 'connecting') return true;
    if (this.pinned < this.first) this.pinned = this.first;
    if (this.pinned <= this.last) return true;
    this.pinned = null;
    return false;
  }

  /** Goes to a snapshot; null: to the live end. */
  go(index) {
    this.pinned = index === null ? null : Math.min(this.last, Math.max(this.first, index));
    this.#error = null;
  }

  /** The data for all panes. `busy`: the state is not folded yet. */
  model() {
    const { view, first, last, pinned } = this;
    const index = pinned ?? last;
    const place = index - first;
    const model = {
      view, first, last, index, live: pinned === null, queues: this.#queues,
      snapshot: view.snapshots[place], stateAt: (wanted) => this.#history.now(Math.min(last, Math.max(first, wanted)) - first), state: undefined, before: undefined, busy: false, error: this.#error,
    };
    if (place < 0 || this.#error) return { ...model, state: view.state, before: view.state };
    try {
      model.before = this.#history.now(place - 1);
      model.state = model.before === undefined ? undefined : this.#history.now(place);
    } catch (error) {
      this.#error = error;
      return { ...model, state: view.state, before: view.state, error };
    }
    model.busy = model.state === undefined;
    if (model.busy) this.#fold(place);
    return model;
  }

  destroy() {
    this.#folding?.abort();
  }

  async #fold(place) {
    this.#folding?.abort();
    const folding = new AbortController();
    this.#folding = folding;
    try {
      await this.#history.at(place, folding.signal);
    } catch (error) {
      if (folding.signal.aborted) return;
      this.#error = error;
    }
    this.onState();
  }
}
