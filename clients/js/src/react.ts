'use client';

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { queryOf, type ListFilter } from './filter.js';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { lazyList, lazyLtm } from './lazy.js';
import { LazyMany, type LtmsOptions } from './lazy-many.js';
import type { ListOptions, ListView } from './list.js';
import { pathOf, type Id, type Ltm } from './server.js';
import type { View } from './view.js';

export type { FollowOptions, Id, JsonObject, ListFilter, ListOptions, ListView, Ltm, LtmsOptions, View };

/**
 * Follows an LTM while the component is mounted, and returns its view. Parts that did not change are the same objects
 * as before, so `memo` and `useMemo` work with them. A new `url`, `ltm` or `history` starts a new follow; other options
 * take effect at the next start. On a server, and in the first paint, the view is that of `initial`.
 */
export function useLtm<State = JsonObject>(url: string | URL, ltm: Ltm, options: FollowOptions<State> = {}): View<State> {
  const latest = useLatest(options);
  // A component may name the same key by a new object each time.
  const [address, name, { history }] = [String(url), pathOf(ltm), options];
  const lazy = useMemo(() => lazyLtm<State>(address, ltm, () => latest.current), [address, name, history]);
  return useSyncExternalStore(lazy.subscribe, lazy.view, lazy.firstView);
}

/** Follows many LTMs on one socket while the component is mounted, and returns their views in the order of `ltms`. */
export function useLtms<State = JsonObject>(
  url: string | URL,
  ltms: readonly Ltm[],
  options: LtmsOptions<State> = {},
): readonly View<State>[] {
  const latest = useLatest(options);
  const [address, names, { history }] = [String(url), ltms.map(pathOf).join(' '), options];
  const lazy = useMemo(() => new LazyMany<State>(address, () => latest.current), [address, history]);
  const version = useSyncExternalStore(lazy.subscribe, lazy.version, lazy.version);
  useEffect(() => lazy.select(ltms), [lazy, names]);
  return useMemo(() => ltms.map(lazy.view), [lazy, names, version]);
}

/** Follows one page of the list of LTMs while the component is mounted. */
export function useLtmList(url: string | URL, filter: ListFilter = {}, options: ListOptions = {}): ListView {
  const latest = useLatest(options);
  const [address, query] = [String(url), JSON.stringify(queryOf(filter))];
  const list = useMemo(() => lazyList(address, JSON.parse(query), () => latest.current), [address, query]);
  return useSyncExternalStore(list.subscribe, list.view, list.firstView);
}

function useLatest<T>(value: T): { current: T } {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}
