import { firstView, resumed } from './follow.js';
import type { FollowOptions, Following } from './follow.js';
import type { JsonObject } from './json.js';
import { canFollow } from './lazy.js';
import { followMany, type FollowingMany, type ManyOptions, type Resumed } from './many.js';
import { pathOf, type Ltm } from './server.js';
import type { LtmDocument, View } from './view.js';

/** How components follow many LTMs. */
export interface LtmsOptions<State = JsonObject> extends ManyOptions {
  /** Documents of some of the LTMs, for the first paint. */
  initial?: readonly LtmDocument<State>[] | undefined;
}

/** LTMs that are followed on one socket while there are listeners. Which ones may change meanwhile. */
export class LazyMany<State> {
  private readonly listeners = new Set<() => void>();
  private readonly followed = new Map<string, Following<State>>();
  /** What is known of LTMs that are not followed now. */
  private readonly last = new Map<string, View<State>>();
  private wanted = new Map<string, Ltm>();
  private many: FollowingMany | undefined;
  private current = {};

  constructor(
    private readonly url: string | URL,
    private readonly options: () => LtmsOptions<State>,
  ) {}

  /** Another object after each change. */
  readonly version = (): object => this.current;

  readonly view = (ltm: Ltm): View<State> => {
    const name = pathOf(ltm);
    let view = this.followed.get(name)?.view ?? this.last.get(name);
    if (!view) {
      const { initial, history } = this.options();
      const document = initial?.find(({ id, fqn, key }) => name === (typeof ltm === 'object' ? pathOf({ fqn, key: key ?? '' }) : String(id)));
      view = firstView<State>(ltm, { initial: document, history }) as unknown as View<State>;
      this.last.set(name, view);
    }
    return view;
  };

  /** Follows these, and no others. */
  select(ltms: readonly Ltm[]): void {
    this.wanted = new Map(ltms.map((ltm) => [pathOf(ltm), ltm]));
    [...this.last.keys()].filter((name) => !this.wanted.has(name)).forEach((name) => this.last.delete(name));
    this.followWanted();
  }

  readonly subscribe = (changed: () => void): (() => void) => {
    const listener = () => changed();
    this.listeners.add(listener);
    this.followWanted();
    return () => {
      if (this.listeners.delete(listener) && !this.listeners.size) {
        this.followed.forEach((each, name) => this.last.set(name, each.view));
        this.followed.clear();
        this.many?.close();
        this.many = undefined;
      }
    };
  };

  private followWanted(): void {
    const options = this.options();
    if (!this.listeners.size || !canFollow(options)) {
      return;
    }
    this.many ??= followMany(this.url, options);
    const { many } = this;
    for (const [name, ltm] of this.wanted) {
      if (!this.followed.has(name)) {
        const own: FollowOptions<State> & Resumed = { last: resumed(this.view(ltm)) };
        const following = many.follow<State>(ltm, own);
        this.last.delete(name);
        this.followed.set(name, following);
        following.subscribe(() => {
          this.current = {};
          this.listeners.forEach((each) => each());
        });
      }
    }
    for (const [name, following] of this.followed) {
      if (!this.wanted.has(name)) {
        this.followed.delete(name);
        following.close();
      }
    }
  }
}
