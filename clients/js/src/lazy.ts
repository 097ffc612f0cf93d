import { followLtm, type FollowOptions, type Following } from './follow.js';
import type { Ltm } from './server.js';
import { emptyView, type View } from './view.js';

/** Follows an LTM while it has listeners: from the first one to the last. */
export class LazyFollowing<State> {
  private readonly listeners = new Set<() => void>();
  private following: Following<State> | undefined;
  private last: View<State>;

  constructor(
    private readonly url: string | URL,
    private readonly ltm: Ltm,
    private readonly options: () => FollowOptions,
  ) {
    this.last = emptyView(ltm) as unknown as View<State>;
  }

  readonly view = (): View<State> => this.following?.view ?? this.last;

  readonly subscribe = (changed: () => void): (() => void) => {
    const listener = () => changed();
    this.listeners.add(listener);
    const options = this.options();
    // A server that renders a page may have neither. Its view stays `connecting`.
    const { WebSocket = globalThis.WebSocket, EventSource = globalThis.EventSource } = options;
    if (!this.following && (WebSocket || EventSource)) {
      this.following = followLtm<State>(this.url, this.ltm, options);
      this.following.subscribe(() => this.listeners.forEach((each) => each()));
    }
    return () => {
      if (this.listeners.delete(listener) && !this.listeners.size) {
        this.last = this.view();
        this.following?.close();
        this.following = undefined;
      }
    };
  };
}
