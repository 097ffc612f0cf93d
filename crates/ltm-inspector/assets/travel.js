// Which snapshot is looked at, and the state there.

import { History } from './history.js';
import { Queues } from './steps.js';

export class Travel {
  #history = new History();
  #queues = new Queues();
  #folding = null;
  #error = null;

  /** `pinned`: the index that was chosen, or null for the live end. `onState` is called when a state is there that had to be waited for. */
  constructor(pinned, onState) {
    Object.assign(this, { pinned, onState });
  }

  /** Takes a new view of the LTM; false where the chosen snapshot is no longer there, and the live end is looked at instead. */
  update(view) {
    if (view.snapshots !== this.view?.snapshots) {
      this.#history.update(view.snapshots);
      this.#queues.update(view.snapshots);
      this.#error = null;
    }
    this.view = view;
    // A trimmed history begins later; its first snapshot stands for all that are gone.
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

  /** All that the panes show. `busy` says that the state has to be waited for. */
  model() {
    const { view, first, last, pinned } = this;
    const index = pinned ?? last;
    const place = index - first;
    const model = {
      view, first, last, index, live: pinned === null, queues: this.#queues,
      snapshot: view.snapshots[place], state: undefined, before: undefined, busy: false, error: this.#error,
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
