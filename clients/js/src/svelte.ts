import type { ListFilter } from './filter.js';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { lazyList, lazyLtm } from './lazy.js';
import { LazyMany, type LtmsOptions } from './lazy-many.js';
import type { ListOptions, ListView } from './list.js';
import type { Id, Ltm } from './server.js';
import type { View } from './view.js';

export type { FollowOptions, Id, JsonObject, ListFilter, ListOptions, ListView, Ltm, LtmsOptions, View };

/** A readable store, as Svelte defines it. */
export interface ReadableStore<Value> {
  /** Calls `run` now and after each change. Returns a function that ends this. */
  subscribe(run: (value: Value) => void): () => void;
}

/** A store with the view of an LTM. The client follows the LTM while the store has subscribers. */
export function ltmStore<State = JsonObject>(
  url: string | URL,
  ltm: Ltm,
  options: FollowOptions<State> = {},
): ReadableStore<View<State>> {
  return storeOf(lazyLtm<State>(url, ltm, () => options));
}

/** A store with the views of many LTMs, which the client follows on one socket. */
export function ltmsStore<State = JsonObject>(
  url: string | URL,
  ltms: readonly Ltm[],
  options: LtmsOptions<State> = {},
): ReadableStore<readonly View<State>[]> {
  const lazy = new LazyMany<State>(url, () => options);
  lazy.select(ltms);
  return storeOf({ subscribe: lazy.subscribe, view: () => ltms.map(lazy.view) });
}

/** A store with one page of the list of LTMs. */
export function ltmListStore(url: string | URL, filter: ListFilter = {}, options: ListOptions = {}): ReadableStore<ListView> {
  return storeOf(lazyList(url, filter, () => options));
}

function storeOf<Value>(lazy: { subscribe(changed: () => void): () => void; view(): Value }): ReadableStore<Value> {
  return {
    subscribe(run) {
      const end = lazy.subscribe(() => run(lazy.view()));
      run(lazy.view());
      return end;
    },
  };
}
