// The statuses of LTMs and states, and how each is shown.

/** In the order of a life. */
export const STATUSES = ['init', 'queued', 'active', 'finished', 'error'];

/** The status that a state says, or null where it says none that is known. */
export function statusOf(state) {
  const status = state !== null && typeof state === 'object' && Object.hasOwn(state, '_status') ? state._status : null;
  return STATUSES.includes(status) ? status : null;
}
