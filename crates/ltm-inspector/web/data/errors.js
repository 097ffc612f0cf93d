// What an engine recorded about errors, in words.

import { filled } from './steps.js';

/** What failed: a transition, a state, or the reason. */
export function nameOf({ item, reason }) {
  if (typeof item?.label === 'string') return filled(item.label, item.params);
  return String(item?.fqn ?? reason);
}

/** What became of an error: a word, and the status whose colour it has. */
export function outcomeOf({ success, retrying }) {
  if (success) return ['recovered', 'finished'];
  return retrying ? ['retrying', 'queued'] : ['failed', 'error'];
}

/** When it last changed. */
export function latestOf(error) {
  return error.updated_at ?? retriesOf(error).at(-1)?.time;
}

export function retriesOf({ retries }) {
  return Array.isArray(retries) ? retries : [];
}
