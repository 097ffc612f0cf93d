import type { Sockets } from './channel.js';
import { firstView, resumeLtm, type FollowOptions } from './follow.js';
import { firstList, followList, type ListOptions, type ListView } from './list.js';
import type { ListFilter } from './filter.js';
import type { Ltm } from './server.js';
import type { Followed } from './session.js';
import type { View } from './view.js';

/** Something that is followed while it has listeners: from the first one to the last. */
export class Lazy<View> {
  private readonly listeners = new Set<() => void>();
  private followed: Followed<View, unknown> | undefined;

  constructor(
    /** The view before following has begun: on a server, and for the first paint of a page. */
    readonly first: View,
    /** Begins to follow, from the last view. */
    private readonly start: (last: View) => Followed<View, unknown> | undefined,
    private last: View = first,
  ) {}

  readonly firstView = (): View => this.first;

  readonly view = (): View => this.followed?.view ?? this.last;

  readonly subscribe = (changed: () => void): (() => void) => {
    const listener = () => changed();
    this.listeners.add(listener);
    if (!this.followed) {
      this.followed = this.start(this.last);
      this.followed?.subscribe(() => this.listeners.forEach((each) => each()));
    }
    return () => {
      if (this.listeners.delete(listener) && !this.listeners.size) {
        this.last = this.view();
        this.followed?.close();
        this.followed = undefined;
      }
    };
  };
}

/** Whether components may follow here. A server that renders a page does not, unless its program passes a socket. */
export function canFollow({ WebSocket, EventSource }: Sockets): boolean {
  const page = 'window' in globalThis || 'WorkerGlobalScope' in globalThis;
  return !!(WebSocket || EventSource || (page && (globalThis.WebSocket || globalThis.EventSource)));
}

/** An LTM for a component. */
export function lazyLtm<State>(url: string | URL, ltm: Ltm, options: () => FollowOptions<State>): Lazy<View<State>> {
  const first = firstView(ltm, options()) as unknown as View<State>;
  return new Lazy<View<State>>(first, (last) => {
    const now = options();
    return canFollow(now) ? resumeLtm(url, ltm, last, now) : undefined;
  });
}

/** A list for a component. */
export function lazyList(url: string | URL, filter: ListFilter, options: () => ListOptions): Lazy<ListView> {
  return new Lazy<ListView>(firstList(options()), (last) => {
    const now = options();
    const { rows, next } = last;
    return canFollow(now) ? followList(url, filter, { ...now, ...(rows && { initial: { rows, next } }) }) : undefined;
  });
}
