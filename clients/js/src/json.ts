/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  [key: string]: Json;
}

/** A value that becomes JSON: an interface needs no index signature. See `Jsonable` for the exact check. */
export type JsonInput = null | boolean | number | string | object;

/** What says itself how it becomes JSON, such as a `Date`. */
interface WithJson {
  toJSON(): unknown;
}

/** `T` if `JSON.stringify` keeps all of it; `never` where it would not, such as at a function or a Map. */
export type Jsonable<T> = T extends Json | undefined | WithJson
  ? T
  : T extends bigint | symbol | ((...args: never) => unknown) | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
    ? never
    : { [Key in keyof T]: Jsonable<T[Key]> };

/** `T` if it becomes a JSON object. */
export type JsonableObject<T> = T extends readonly unknown[] ? never : Jsonable<T>;

/** A merge patch of a state (RFC 7396): any of its members, at any depth; null removes one. */
export type Merge<State> = {
  [Key in keyof State]?: (State[Key] extends readonly unknown[] ? State[Key] : State[Key] extends object ? Merge<State[Key]> : State[Key]) | null;
};

/** One operation of a JSON Patch (RFC 6902). */
export type Operation<Value = Json> =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Value }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

/** A JSON Patch (RFC 6902). */
export type Patch<Value = Json> = readonly Operation<Value>[];
type Container = Json[] | JsonObject;

export function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}

/** Whether the object has this key itself. Inherited keys are not part of its JSON. */
export function has(container: Container, key: string): boolean {
  return Object.hasOwn(container, key);
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
