import { has, isContainer, isSame, put, type Json, type JsonObject, type Operation, type Patch } from './json.js';
import { pointerKeys } from './pointer.js';

type Container = Json[] | JsonObject;

/** The patch does not apply to the value. */
export class PatchError extends Error {
  override name = 'PatchError';

  /** An operation that does not apply; `message` says why. */
  constructor(
    message: string,
    /** The index of the operation that failed. */
    readonly operation: number,
  ) {
    super(`operation ${operation}: ${message}`);
  }
}

/**
 * Applies a JSON Patch (RFC 6902) and returns the result. `value` does not change. Every part that the patch does not
 * touch is the same object in the result, so `===` shows what has changed.
 *
 * @throws {PatchError} if an operation does not apply.
 */
export function applyPatch<T>(value: T, patch: Patch): T {
  const draft = new Draft(value as Json);
  patch.forEach((operation, index) => {
    try {
      draft.apply(operation);
    } catch (error) {
      throw new PatchError(error instanceof Error ? error.message : String(error), index);
    }
  });
  return draft.root as T;
}

function fail(message: string): never {
  throw new Error(message);
}

/** The key, if the container has it. The index of an array must be below `end`. */
function checked(container: Container, key: string, end: number): string {
  const there = Array.isArray(container) ? /^(0|[1-9]\d*)$/.test(key) && +key < end : has(container, key);
  return there ? key : fail(`nothing is at ${JSON.stringify(key)}`);
}

function child(container: Json, key: string): Json {
  if (!isContainer(container)) {
    fail(`nothing can be at ${JSON.stringify(key)}`);
  }
  return (container as JsonObject)[checked(container, key, (container as Json[]).length)] as Json;
}

class Draft {
  /** The containers that this draft created. It changes only these. */
  private readonly own = new Set<Container>();

  constructor(public root: Json) {}

  apply(operation: Operation): void {
    // A patch may come from anywhere.
    const { op, path, from, value } = operation as { op: string; path: string; from: unknown; value?: Json };
    const keys = pointerKeys(path);
    if ((op === 'add' || op === 'replace' || op === 'test') && value === undefined) {
      fail('`value` is missing');
    }
    switch (op) {
      case 'add':
        return this.add(keys, value as Json);
      case 'remove':
        this.remove(keys);
        return;
      case 'replace':
        return this.replace(keys, value as Json);
      case 'copy':
        return this.add(keys, this.shown(this.get(pointerKeys(from))));
      case 'move': {
        const source = pointerKeys(from);
        if (path.startsWith(`${from}/`)) {
          fail('a value cannot move into itself');
        }
        return path === from ? void this.get(source) : this.add(keys, this.remove(source));
      }
      case 'test':
        return isSame(this.get(keys), value) ? undefined : fail('the test fails');
      default:
        fail(`unknown operation ${JSON.stringify(op)}`);
    }
  }

  private get(keys: string[]): Json {
    return keys.reduce(child, this.root);
  }

  /** Marks a value that will be in two places as shared, so that a change of one does not change the other. */
  private shown(value: Json): Json {
    if (isContainer(value) && this.own.delete(value)) {
      Object.values(value).forEach((part) => this.shown(part));
    }
    return value;
  }

  /** The container of the value at these keys, safe to change; and the last key. */
  private parent(keys: string[]): [Container, string] {
    this.root = this.owned(this.root);
    let container = this.root;
    for (const key of keys.slice(0, -1)) {
      const part = this.owned(child(container, key));
      put(container as Container, key, part);
      container = part;
    }
    return [container as Container, keys[keys.length - 1] as string];
  }

  private owned(value: Json): Json {
    if (!isContainer(value)) {
      fail('nothing can be at this path');
    }
    if (this.own.has(value)) {
      return value;
    }
    const copy: Container = Array.isArray(value) ? value.slice() : { ...value };
    this.own.add(copy);
    return copy;
  }

  private add(keys: string[], value: Json): void {
    if (!keys.length) {
      this.root = value;
      return;
    }
    const [container, key] = this.parent(keys);
    if (Array.isArray(container)) {
      const index = key === '-' ? container.length : +checked(container, key, container.length + 1);
      container.splice(index, 0, value);
    } else {
      put(container, key, value);
    }
  }

  private replace(keys: string[], value: Json): void {
    if (!keys.length) {
      this.root = value;
      return;
    }
    const [container, key] = this.parent(keys);
    put(container, checked(container, key, (container as Json[]).length), value);
  }

  private remove(keys: string[]): Json {
    if (!keys.length) {
      const whole = this.root;
      this.root = null;
      return whole;
    }
    const [container, key] = this.parent(keys);
    const removed = child(container, key);
    if (Array.isArray(container)) {
      container.splice(+key, 1);
    } else {
      delete container[key];
    }
    return removed;
  }
}
