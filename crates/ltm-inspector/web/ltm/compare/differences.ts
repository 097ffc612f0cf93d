// The differences between two states, each by its pointer.

import { pointerBelow, type Json, type JsonObject } from 'ltm-live';
import { commonEnds, isObject } from '../../data/same.js';

/** A value that differs; undefined on the side that does not have it. */
export interface Difference { pointer: string; was: Json | undefined; is: Json | undefined }

/** Differences to find at most. */
const MOST = 2000;

/** The values that differ, in the order of the later state, and whether there are more. Equal parts that are the same object cost nothing. */
export function differences(was: Json | undefined, is: Json | undefined): { found: Difference[]; more: boolean } {
  const found: Difference[] = [];
  compare(was, is, '', found);
  return { found: found.slice(0, MOST), more: found.length > MOST };
}

function compare(was: Json | undefined, is: Json | undefined, pointer: string, found: Difference[]): void {
  if (was === is || found.length > MOST) return;
  if (Array.isArray(was) && Array.isArray(is)) compareLists(was, is, pointer, found);
  else if (isObject(was) && isObject(is)) {
    for (const key of Object.keys(is)) compare(own(was, key), is[key], pointerBelow(pointer, key), found);
    for (const key of Object.keys(was)) if (!Object.hasOwn(is, key)) compare(was[key], undefined, pointerBelow(pointer, key), found);
  } else found.push({ pointer, was, is });
}

/** Equal entries at both ends are passed over, so an entry that was put in is one difference. */
function compareLists(was: Json[], is: Json[], pointer: string, found: Difference[]): void {
  const [start, end] = commonEnds(was, is);
  const [old, now] = [was.slice(start, was.length - end), is.slice(start, is.length - end)];
  for (let at = 0; at < Math.max(old.length, now.length); at += 1) compare(old[at], now[at], pointerBelow(pointer, start + at), found);
}

function own(value: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
