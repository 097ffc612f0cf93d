// What a snapshot was: words for it, and where its item was queued and taken.

import { plain } from './digits.js';

/** The last word of a class or state's name. */
function lastWord(fqn) {
  return String(fqn).split('.').at(-1);
}

/** What a step did, in a word or two. */
export function titleOf(snapshot) {
  const item = snapshot.item;
  if (item !== null && typeof item === 'object') {
    if (typeof item.label === 'string') return filled(item.label, item.params);
    if (typeof item.fqn === 'string') return lastWord(item.fqn);
  }
  if (typeof item === 'string') return item;
  return snapshot.reason;
}

/** A label with its one set of parameters filled in. */
export function filled(label, params) {
  if (!Array.isArray(params) || params.length !== 1 || params[0] === null || typeof params[0] !== 'object') return label;
  return label.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(params[0], name) ? plain(params[0][name]) : whole));
}

/** The kind of a reason: what colours and marks there are. */
export function kindOf(reason) {
  return ['start', 'execute', 'transition'].includes(reason) ? reason : 'other';
}

/** Follows which items were queued by which snapshot, and taken by which. */
export class Queues {
  #snapshots = [];
  #queued = new Map();
  #taken = new Map();

  /** Takes the history as it is now; looks only at what is new where it only grew. */
  update(snapshots) {
    const old = this.#snapshots;
    const grew = old.length <= snapshots.length && (old.length === 0 || old.at(-1) === snapshots[old.length - 1]);
    if (!grew) [this.#queued, this.#taken] = [new Map(), new Map()];
    for (let index = grew ? old.length : 0; index < snapshots.length; index += 1) this.#add(snapshots[index], index);
    this.#snapshots = snapshots;
  }

  #add(snapshot, index) {
    const id = snapshot.item?.item_id;
    if (id !== undefined) this.#taken.set(id, index);
    for (const [kind, queue] of [['execute', snapshot.execute_queue], ['transition', snapshot.transitions_queue]]) {
      for (const item of Array.isArray(queue) ? queue : []) {
        if (item?.item_id !== undefined) this.#queued.set(item.item_id, { kind, item, index });
      }
    }
  }

  /** The snapshot that queued an item. */
  queuedBy(item) {
    return this.#queued.get(item?.item_id)?.index;
  }

  /** The snapshot that took an item. */
  takenBy(item) {
    return this.#taken.get(item?.item_id);
  }

  /** What was queued and not yet taken after a snapshot. */
  waiting(index) {
    const still = (entry) => entry.index <= index && !(this.#taken.get(entry.item.item_id) <= index);
    return [...this.#queued.values()].filter(still);
  }
}
