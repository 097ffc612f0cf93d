import type { FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { LazyFollowing } from './lazy.js';
import type { Ltm } from './server.js';
import type { View } from './view.js';

/** A readable store, as Svelte defines it. */
export interface ReadableView<State> {
  subscribe(run: (view: View<State>) => void): () => void;
}

/** A store with the view of an LTM. The client follows the LTM while the store has subscribers. */
export function ltmStore<State = JsonObject>(
  url: string | URL,
  ltm: Ltm,
  options: FollowOptions = {},
): ReadableView<State> {
  const following = new LazyFollowing<State>(url, ltm, () => options);
  return {
    subscribe(run) {
      const end = following.subscribe(() => run(following.view()));
      run(following.view());
      return end;
    },
  };
}
