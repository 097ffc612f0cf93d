import { has, isContainer, type Json, type JsonObject } from './json.js';

/**
 * The keys of a JSON Pointer (RFC 6901).
 *
 * @throws {Error} if the text is not a JSON Pointer.
 */
export function pointerKeys(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || (pointer && pointer[0] !== '/') || /~(?![01])/.test(pointer)) {
    throw new Error(`${JSON.stringify(pointer)} is not a JSON Pointer`);
  }
  const keys = pointer.split('/').slice(1);
  return keys.map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
}

/** The pointer to a member of what `pointer` names. */
export function pointerBelow(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replace(/~/g, '~0').replace(/\//g, '~1')}`;
}

/** The pointer without its last key; `""` stays. */
export function pointerAbove(pointer: string): string {
  return pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));
}

/** The value at a JSON Pointer; undefined if nothing is there. */
export function valueAt(value: unknown, pointer: string): Json | undefined {
  return pointerKeys(pointer).reduce(member, value) as Json | undefined;
}

function member(value: unknown, key: string): unknown {
  if (!isContainer(value)) {
    return undefined;
  }
  const there = Array.isArray(value) ? /^(0|[1-9]\d*)$/.test(key) : has(value, key);
  return there ? (value as JsonObject)[key] : undefined;
}
