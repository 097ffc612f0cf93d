import { has, isContainer, isSame, put, type Json, type JsonObject, type Operation, type Patch } from './json.js';

type Container = Json[] | JsonObject;

/** A patch that does not apply to the value that it met. */
export class PatchError extends Error {
  override name = 'PatchError';

  constructor(
    message: string,
    /** The index of the operation that failed. */
    readonly operation: number,
  ) {
    super(`operation ${operation}: ${message}`);
  }
}

/**
 * Applies a JSON Patch (RFC 6902) and gives the result. The value that it is applied to stays as it was, and what
 * the patch does not touch is in the result as the same object, so that `===` tells what has changed.
 *
 * @throws {PatchError} where any operation does not apply.
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

/** The keys of a JSON Pointer (RFC 6901). */
function keysOf(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || (pointer && pointer[0] !== '/') || /~(?![01])/.test(pointer)) {
    fail(`${JSON.stringify(pointer)} is no JSON Pointer`);
  }
  const keys = pointer.split('/').slice(1);
  return keys.map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
}

/** The key, where the container may have it; for an array it is an index up to `end`. */
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
  /** The containers that were made here: only those may be changed. */
  private readonly own = new Set<Container>();

  constructor(public root: Json) {}

  apply({ op, path, from, value }: Operation): void {
    const keys = keysOf(path);
    if ((op === 'add' || op === 'replace' || op === 'test') && value === undefined) {
      fail('it lacks `value`');
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
        return this.add(keys, this.shown(this.get(keysOf(from))));
      case 'move': {
        const source = keysOf(from);
        if (path.startsWith(`${from}/`)) {
          fail('a value cannot move into itself');
        }
        return path === from ? void this.get(source) : this.add(keys, this.remove(source));
      }
      case 'test':
        return isSame(this.get(keys), value) ? undefined : fail('the test fails');
      default:
        fail(`${JSON.stringify(op)} is not known`);
    }
  }

  private get(keys: string[]): Json {
    return keys.reduce(child, this.root);
  }

  /** A value that is about to be in two places: neither may be changed through the other. */
  private shown(value: Json): Json {
    if (isContainer(value) && this.own.delete(value)) {
      Object.values(value).forEach((part) => this.shown(part));
    }
    return value;
  }

  /** What holds the value at these keys, made so that it may be changed; and the last key. */
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
      fail('it leads into what has no parts');
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
