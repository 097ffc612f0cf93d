import { onScopeDispose, shallowRef, toValue, watch, type MaybeRefOrGetter, type ShallowRef } from 'vue';
import type { ListFilter } from './filter.js';
import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { lazyList, lazyLtm } from './lazy.js';
import { LazyMany, type LtmsOptions } from './lazy-many.js';
import type { ListOptions, ListView } from './list.js';
import { pathOf, type Id, type Ltm } from './server.js';
import type { View } from './view.js';

export type { FollowOptions, Id, JsonObject, ListFilter, ListOptions, ListView, Ltm, LtmsOptions, View };

/** Follows an LTM until the scope ends, and returns its view. A new `url` or `ltm` starts a new follow. */
export function useLtm<State = JsonObject>(
  url: MaybeRefOrGetter<string | URL>,
  ltm: MaybeRefOrGetter<Ltm>,
  options: FollowOptions<State> = {},
): Readonly<ShallowRef<View<State>>> {
  return useLazy([() => String(toValue(url)), () => pathOf(toValue(ltm))], ([address]) =>
    lazyLtm<State>(address as string, toValue(ltm), () => options),
  );
}

/** Follows many LTMs on one socket until the scope ends, and returns their views in the order of `ltms`. */
export function useLtms<State = JsonObject>(
  url: string | URL,
  ltms: MaybeRefOrGetter<readonly Ltm[]>,
  options: LtmsOptions<State> = {},
): Readonly<ShallowRef<readonly View<State>[]>> {
  const lazy = new LazyMany<State>(url, () => options);
  const views = () => toValue(ltms).map(lazy.view);
  const value = shallowRef(views());
  const show = () => (value.value = views());
  const end = lazy.subscribe(show);
  watch(
    () => toValue(ltms).map(pathOf).join(' '),
    () => {
      lazy.select(toValue(ltms));
      show();
    },
    { immediate: true },
  );
  onScopeDispose(end);
  return value;
}

/** Follows one page of the list of LTMs until the scope ends. A new filter starts a new follow. */
export function useLtmList(
  url: MaybeRefOrGetter<string | URL>,
  filter: MaybeRefOrGetter<ListFilter> = {},
  options: ListOptions = {},
): Readonly<ShallowRef<ListView>> {
  const text = () => JSON.stringify(toValue(filter), (_, value) => (typeof value === 'bigint' ? String(value) : value));
  return useLazy([() => String(toValue(url)), text], ([address, filter]) =>
    lazyList(address as string, JSON.parse(filter as string), () => options),
  );
}

/** The value of what `make` makes of the sources, made again when one of them changes. */
function useLazy<Value>(
  sources: (() => string)[],
  make: (values: string[]) => { subscribe(changed: () => void): () => void; view(): Value },
): Readonly<ShallowRef<Value>> {
  let end: (() => void) | undefined;
  const begin = (values: string[]) => {
    end?.();
    const lazy = make(values);
    end = lazy.subscribe(() => (value.value = lazy.view()));
    return lazy.view();
  };
  const value = shallowRef() as ShallowRef<Value>;
  value.value = begin(sources.map((source) => source()));
  watch(sources, (values) => (value.value = begin(values)));
  onScopeDispose(() => end?.());
  return value;
}
