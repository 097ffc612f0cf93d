// The statuses of LTMs and states.

/** Those that have a colour, in the order of an LTM's life. An engine may write any other word. */
export const STATUSES = ['init', 'queued', 'active', 'finished', 'error'];

/** The status in a state as the engine wrote it; null if it has none. */
export function statusOf(state) {
  const status = state !== null && typeof state === 'object' && Object.hasOwn(state, '_status') ? state._status : null;
  return typeof status === 'string' && status !== '' ? status : null;
}

/** The status whose colour a status has: its own, `other`, or `none`. */
export function toneOf(status) {
  if (status === null || status === undefined) return 'none';
  return STATUSES.includes(status) ? status : 'other';
}
