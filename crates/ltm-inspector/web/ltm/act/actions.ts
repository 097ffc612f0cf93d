// What a user can have an LTM do, as calls.

import type { JsonObject } from 'ltm-live';
import { mark, stringify } from '../../wire/digits.js';
import type { Call } from '../../wire/calls.js';
import { patchOf } from './patch.js';

export interface Place {
  id: string;
  /** The cursor that the user sees. */
  cursor: string;
}

/** Goes back to a snapshot, if nothing was written since. */
export function rollBack({ id, cursor }: Place, index: number): Call {
  return { method: 'POST', path: `ltm/${id}/rollback`, body: { snapshot: { index } }, match: cursor };
}

/** Has a copy end at a snapshot. Nobody else knows of the copy yet. */
export function endAt(id: string, index: number): Call {
  return { method: 'POST', path: `ltm/${id}/rollback`, body: { snapshot: { index } } };
}

/** Brings back what a rollback took out. */
export function undo({ id, cursor }: Place, rollback: number): Call {
  return { method: 'POST', path: `ltm/${id}/rollback`, body: { rollback: { index: rollback } }, match: cursor };
}

/** Copies the LTM to the playground, as the user sees it: without what was written since. */
export function copyOf({ id, cursor }: Place): Call {
  return { method: 'POST', path: `ltm/${id}/copy?until=${encodeURIComponent(cursor)}` };
}

export function remove({ id, cursor }: Place): Call {
  return { method: 'DELETE', path: `ltm/${id}`, match: cursor };
}

/** Appends a snapshot that changes the state so. */
export function append({ id, cursor }: Place, patch: readonly object[], reason: string): Call {
  return { method: 'POST', path: `ltm/${id}/snapshots`, body: { reason: reason.trim() || 'manual', patch }, match: cursor };
}

/** Says what became of an error. */
export function markError({ id, cursor }: Place, error: string, { retrying, success }: { retrying: boolean; success: boolean }): Call {
  return { method: 'POST', path: `ltm/${id}/errors`, body: { id: error, retrying, success }, match: cursor };
}

/** The state as a text to edit. */
export function textOf(state: JsonObject): string {
  return stringify(state, 2) ?? '{}';
}

/** The patch from a state to an edited text of it; a sentence if the text is no state. */
export function patchTo(state: JsonObject, text: string): readonly object[] | string {
  let edited: unknown;
  try {
    edited = JSON.parse(mark(text));
  } catch (error) {
    return `This is not JSON: ${(error as Error).message}`;
  }
  if (edited === null || typeof edited !== 'object' || Array.isArray(edited)) return 'A state is an object: { … }';
  try {
    const patch = patchOf(state, edited as JsonObject);
    stringify(patch);
    return patch;
  } catch {
    // The stack is used up.
    return 'This is nested too deeply to find what changed: use the command ltm append.';
  }
}
