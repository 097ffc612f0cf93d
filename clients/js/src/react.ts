import { useMemo, useRef, useSyncExternalStore } from 'react';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { LazyFollowing } from './lazy.js';
import type { View } from './view.js';

/**
 * Follows an LTM while the component is mounted, and returns its view. Parts that did not change are the same objects
 * as before, so `memo` and `useMemo` work with them. A new `url`, `id` or `history` starts a new follow; other options
 * take effect at the next start.
 */
export function useLtm<State = JsonObject>(
  url: string | URL,
  id: number | bigint | string,
  options: FollowOptions = {},
): View<State> {
  const latest = useRef(options);
  latest.current = options;
  const [address, text, history] = [String(url), String(id), options.history];
  const following = useMemo(
    () => new LazyFollowing<State>(address, text, () => latest.current),
    [address, text, history],
  );
  return useSyncExternalStore(following.subscribe, following.view, following.view);
}
