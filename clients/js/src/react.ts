import { useMemo, useRef, useSyncExternalStore } from 'react';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { LazyFollowing } from './lazy.js';
import type { Ltm } from './server.js';
import type { View } from './view.js';

/**
 * Follows an LTM while the component is mounted, and returns its view. Parts that did not change are the same objects
 * as before, so `memo` and `useMemo` work with them. A new `url`, `ltm` or `history` starts a new follow; other options
 * take effect at the next start.
 */
export function useLtm<State = JsonObject>(
  url: string | URL,
  ltm: Ltm,
  options: FollowOptions = {},
): View<State> {
  const latest = useRef(options);
  latest.current = options;
  const { history } = options;
  const address = String(url);
  // A component may name the same key by a new object each time.
  const name = typeof ltm === 'object' ? JSON.stringify([ltm.fqn, ltm.key]) : String(ltm);
  const following = useMemo(
    () => new LazyFollowing<State>(address, ltm, () => latest.current),
    [address, name, history],
  );
  return useSyncExternalStore(following.subscribe, following.view, following.view);
}
