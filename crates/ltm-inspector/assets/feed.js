// The list of LTMs, kept up to date. It asks the API again and again; a feed that is pushed can take its place here, with the same
// interface, without a change anywhere else.

import { get } from './api.js';
import { mark, plain } from './digits.js';
import { onToken } from './session.js';
import { statusOf } from './status.js';

const PAUSE = 1500;
const LONGEST_PAUSE = 10_000;

/**
 * Follows one page of the list. `onChange({ rows, next, status, error })` is called with each change: `status` is `connecting`, `live` or
 * `reconnecting`, or `failed` where asking again is no use; `next` is what `before` has to be for the page after it. Ends with `signal`.
 */
export function followList({ playground = false, fqn = '', before = '', limit = 50 }, onChange, signal) {
  const query = new URLSearchParams({ playground, limit });
  if (fqn) query.set('fqn', fqn);
  if (before) query.set('before', before);
  let page = { rows: [], next: null, status: 'connecting', error: null };
  let timer;
  let pause = PAUSE;
  const show = (more) => {
    page = { ...page, ...more };
    onChange(page);
  };
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const response = await get(`ltm?${query}`, { signal });
      const rows = JSON.parse(mark(await response.text())).map((row) => ({
        ...row,
        id: plain(row.id),
        status: statusOf({ _status: row.status }),
      }));
      pause = PAUSE;
      show({ rows, next: nextPage(response), status: 'live', error: null });
    } catch (error) {
      if (signal.aborted) return;
      const lasting = error.status >= 400 && error.status < 500 && error.status !== 429;
      show({ status: lasting ? 'failed' : 'reconnecting', error });
      if (lasting) return;
      pause = Math.min(LONGEST_PAUSE, pause * 1.5);
    }
    if (!signal.aborted) timer = setTimeout(ask, pause);
  };
  signal.addEventListener('abort', () => clearTimeout(timer));
  document.addEventListener('visibilitychange', ask, { signal });
  window.addEventListener('online', ask, { signal });
  onToken(ask, signal);
  ask();
}

/** `before` of the next page, from the answer's `Link`. */
function nextPage(response) {
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '');
  return link ? new URL(link[1], location.href).searchParams.get('before') : null;
}
