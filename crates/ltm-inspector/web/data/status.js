// The statuses of LTMs and states.

/** In the order of an LTM's life. */
export const STATUSES = ['init', 'queued', 'active', 'finished', 'error'];

/** The status in a state, or null if it has none that is known. */
export function statusOf(state) {
  const status = state !== null && typeof state === 'object' && Object.hasOwn(state, '_status') ? state._status : null;
  return STATUSES.includes(status) ? status : null;
}
