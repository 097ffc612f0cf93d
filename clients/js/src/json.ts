/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  [key: string]: Json;
}

/** One operation of a JSON Patch (RFC 6902). */
export interface Operation {
  op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  path: string;
  from?: string;
  value?: Json;
}

/** A JSON Patch (RFC 6902). */
export type Patch = readonly Operation[];

type Container = Json[] | JsonObject;

export function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}

/** Whether the object has this key itself. Inherited keys are not part of its JSON. */
export function has(container: Container, key: string): boolean {
  return Object.prototype.hasOwnProperty.call(container, key);
}

/** Sets a key of an object. `__proto__` is a key like any other. */
export function put(container: Container, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (container as JsonObject)[key] = value;
  }
}

/** Whether two JSON values are equal (RFC 6902 section 4.6). */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) {
    return true;
  }
  if (!isContainer(a) || !isContainer(b) || Array.isArray(a) !== Array.isArray(b)) {
    return false;
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => has(b, key) && isSame((a as JsonObject)[key], (b as JsonObject)[key]))
  );
}

/** A value equal to `next` that reuses every equal part of `old`. Changes neither. */
export function share<T>(old: unknown, next: T): T {
  if (old === next || !isContainer(old) || !isContainer(next) || Array.isArray(old) !== Array.isArray(next)) {
    return next;
  }
  const keys = Object.keys(next);
  let equal = keys.length === Object.keys(old).length;
  const shared: Container = Array.isArray(next) ? [] : {};
  for (const key of keys) {
    const value = (next as JsonObject)[key] as Json;
    const before = has(old, key) ? (old as JsonObject)[key] : undefined;
    const kept = share(before, value);
    equal &&= kept === before;
    put(shared, key, kept);
  }
  return (equal ? old : shared) as T;
}
