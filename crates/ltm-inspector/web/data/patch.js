// Applies JSON Patches (RFC 6902) to shared values. A part that a patch does not touch stays the same object, so a state costs
// only its difference from the state before, and finding changes can skip equal objects.

import { keysOf, member } from './pointer.js';

/** A value to which patches are applied one after another. It copies a part once, then changes the copy in place. */
export class Draft {
  #own = new WeakSet();

  constructor(value) {
    this.value = value;
  }

  /** Applies a patch; throws if it does not apply. */
  apply(patch) {
    for (const operation of patch) this.#step(operation);
    return this;
  }

  #step({ op, path, from, value }) {
    if (op === 'add') this.#put(keysOf(path), value, true);
    else if (op === 'replace') this.#put(keysOf(path), value, false);
    else if (op === 'remove') this.#take(keysOf(path));
    else if (op === 'move') this.#put(keysOf(path), this.#take(keysOf(from)), true);
    else if (op === 'copy') {
      const copied = keysOf(from).reduce(member, this.value);
      // The value is in two places now: copy it again before the next change of either.
      this.#own = new WeakSet();
      this.#put(keysOf(path), copied, true);
    }
  }

  #put(keys, value, insert) {
    if (keys.length === 0) {
      this.value = value;
      return;
    }
    const parent = this.#parent(keys);
    const key = keys.at(-1);
    if (!Array.isArray(parent)) set(parent, key, value);
    else if (insert) parent.splice(key === '-' ? parent.length : Number(key), 0, value);
    else parent[Number(key)] = value;
  }

  #take(keys) {
    const parent = this.#parent(keys);
    const key = keys.at(-1);
    if (Array.isArray(parent)) return parent.splice(Number(key), 1)[0];
    const taken = member(parent, key);
    delete parent[key];
    return taken;
  }

  /** The container of the last key. It and all its parents are copies that may be changed. */
  #parent(keys) {
    let parent = (this.value = this.#owned(this.value));
    for (const key of keys.slice(0, -1)) {
      const child = this.#owned(member(parent, key));
      set(parent, key, child);
      parent = child;
    }
    return parent;
  }

  #owned(value) {
    if (value === null || typeof value !== 'object') throw new Error('the patch does not apply to the state');
    if (this.#own.has(value)) return value;
    const copy = Array.isArray(value) ? value.slice() : { ...value };
    this.#own.add(copy);
    return copy;
  }
}

/** `__proto__` is a key like any other in JSON. */
function set(object, key, value) {
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
