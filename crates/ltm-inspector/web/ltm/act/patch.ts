// The patch from one state to another. Its cost grows with the states, not with the square of their lists.

import { pointerBelow, type Json, type JsonObject } from 'ltm-live';
import { commonEnds, isObject, same } from '../../data/same.js';

export interface Change { op: 'add' | 'remove' | 'replace'; path: string; value?: Json }

/** Operations to find at most: more are no patch that somebody reads. */
const MOST = 2000;
/** Values below so many levels are replaced as a whole. */
const DEEPEST = 64;

/** The patch; if it would have very many operations, it is one that replaces the whole state. */
export function patchOf(was: JsonObject, is: JsonObject): Change[] {
  const found: Change[] = [];
  change(was, is, '', 0, found);
  return found.length > MOST ? [{ op: 'replace', path: '', value: is }] : found;
}

function change(was: Json, is: Json, path: string, depth: number, found: Change[]): void {
  if (was === is || found.length > MOST) return;
  const deep = depth >= DEEPEST;
  if (!deep && Array.isArray(was) && Array.isArray(is)) changeList(was, is, path, depth, found);
  else if (!deep && isObject(was) && isObject(is)) changeObject(was, is, path, depth, found);
  else if (!deep || !same(was, is)) found.push({ op: 'replace', path, value: is });
}

function changeObject(was: JsonObject, is: JsonObject, path: string, depth: number, found: Change[]): void {
  for (const key of Object.keys(was)) if (!Object.hasOwn(is, key)) found.push({ op: 'remove', path: pointerBelow(path, key) });
  for (const [key, value] of Object.entries(is)) {
    const at = pointerBelow(path, key);
    if (Object.hasOwn(was, key)) change(was[key] as Json, value, at, depth + 1, found);
    else found.push({ op: 'add', path: at, value });
  }
}

/** Equal entries at both ends stay; of those between, the pairs are changed, and the rest is put in or taken out. */
function changeList(was: readonly Json[], is: readonly Json[], path: string, depth: number, found: Change[]): void {
  const [start, end] = commonEnds(was, is);
  const [old, now] = [was.length - end, is.length - end];
  const pairs = Math.min(old, now);
  for (let at = start; at < pairs; at += 1) change(was[at] as Json, is[at] as Json, pointerBelow(path, at), depth + 1, found);
  for (let at = old - 1; at >= pairs; at -= 1) found.push({ op: 'remove', path: pointerBelow(path, at) });
  for (let at = pairs; at < now; at += 1) found.push({ op: 'add', path: pointerBelow(path, at), value: is[at] as Json });
}
