// A title for each snapshot, and the steps that queued and took its item.

import { digitsOf, plain } from '../wire/digits.js';
import { member } from './json.js';

/** The last part of the name of a class or state. */
function lastWord(fqn) {
  return String(fqn).split('.').at(-1);
}

/** A short title for a step. */
export function titleOf(snapshot) {
  const item = snapshot.item;
  if (item !== null && typeof item === 'object') {
    if (typeof item.label === 'string') return filled(item.label, item.params);
    if (typeof item.fqn === 'string') return lastWord(item.fqn);
  }
  if (typeof item === 'string') return plain(item);
  return nameIn(item) ?? snapshot.reason;
}

/** The members that name an item best, if it has neither a label nor a class. */
const NAMING = ['type', 'name', 'title', 'task', 'node'];
const LONGEST = 60;

/** The text that names an object of any form: a member that usually does, or the first short text that is no id. */
function nameIn(item) {
  if (item === null || typeof item !== 'object' || Array.isArray(item)) return undefined;
  const isName = (value) => typeof value === 'string' && value.trim() !== '' && digitsOf(value) === undefined;
  const key = NAMING.find((it) => isName(member(item, it))) ?? Object.keys(item).find((it) => !/id$/i.test(it) && isName(item[it]));
  if (key === undefined) return undefined;
  const text = item[key];
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A label with its parameters filled in, if there is exactly one set. */
export function filled(label, params) {
  if (!Array.isArray(params) || params.length !== 1 || params[0] === null || typeof params[0] !== 'object') return label;
  return label.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(params[0], name) ? plain(params[0][name]) : whole));
}

/** The kind of a reason; the style sheet has a colour for each. */
export function kindOf(reason) {
  return ['start', 'execute', 'transition'].includes(reason) ? reason : 'other';
}

/** Knows which snapshot queued an item and which one took it. */
export class Queues {
  #snapshots = [];
  #queued = new Map();
  #taken = new Map();

  /** Takes the current history. If it only grew, reads only the new snapshots. */
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

  /** The items that are queued and not yet taken after a snapshot. */
  waiting(index) {
    const still = (entry) => entry.index <= index && !(this.#taken.get(entry.item.item_id) <= index);
    return [...this.#queued.values()].filter(still);
  }
}
