import { useMemo, useRef, useSyncExternalStore } from 'react';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { LazyFollowing } from './lazy.js';
import type { View } from './view.js';

/**
 * The view of an LTM, for as long as the component is there. Parts of it that did not change are the same objects as
 * before, so that `memo` and `useMemo` work on them. Another `url`, `id` or `history` follows anew; other options count
 * from the next time on.
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
