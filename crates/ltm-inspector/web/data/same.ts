// Whether two values of JSON are equal.

import type { Json, JsonObject } from 'ltm-live';

export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((it, at) => same(it, b[at]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

/** How many entries two lists have in common at the beginning, and at the end. */
export function commonEnds(was: readonly Json[], is: readonly Json[]): [number, number] {
  const shorter = Math.min(was.length, is.length);
  let start = 0;
  while (start < shorter && same(was[start], is[start])) start += 1;
  let end = 0;
  while (end < shorter - start && same(was.at(-1 - end), is.at(-1 - end))) end += 1;
  return [start, end];
}

export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
