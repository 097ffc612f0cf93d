import { pause, sleep, type Backoff } from './backoff.js';
import { OwnConnection, socketsOf, withTicket, type Channel, type Sockets, type Target } from './channel.js';
import { firstView, Follower, type Following, type FollowOptions } from './follow.js';
import type { JsonObject } from './json.js';
import { openSocket, type Ear, type End, type Link, type SocketConstructor } from './link.js';
import { MAX_ID, pathOf, Server, type Ltm } from './server.js';
import type { AnyView } from './view.js';
import { BACKOFF, type ConnectOptions } from './session.js';

/** How to follow many LTMs. */
export interface ManyOptions extends ConnectOptions {
  /** Whether to keep the histories (default true). `false`: keep only the states, and fetch no documents. */
  history?: boolean | undefined;
}

/** LTMs that the client follows on one socket, each with its own cursor. */
export interface FollowingMany {
  /** Follows one more LTM, or returns what follows it already: name an LTM always by its id, or always by its key. Its `close` leaves the others alone. */
  follow<State = JsonObject>(ltm: Ltm, options?: Pick<FollowOptions<State>, 'history' | 'initial'>): Following<State>;
  /** Stops following all. */
  close(): void;
}

/** Follows many LTMs on one socket. If no WebSocket opens, each LTM has an event stream of its own. */
export function followMany(url: string | URL, options: ManyOptions = {}): FollowingMany {
  const server = new Server(url, options.fetch);
  const channel = new SharedSocket(server, socketsOf(options), { ...BACKOFF, ...options.backoff });
  const followed = new Map<string, Follower>();
  const { signal, ...each } = options;
  let over = false;
  const close = () => {
    over = true;
    signal?.removeEventListener('abort', close);
    followed.forEach((follower) => follower.close());
  };
  signal?.addEventListener('abort', close);
  if (signal?.aborted) {
    close();
  }
  const start = (ltm: Ltm, view: AnyView, history: boolean | undefined) => {
    const name = pathOf(ltm);
    const follower = new Follower(server, ltm, view, { ...each, history }, channel);
    followed.set(name, follower);
    void follower.closed.then(() => followed.get(name) === follower && followed.delete(name));
    if (over) {
      follower.close();
    }
    return follower;
  };
  return {
    close,
    follow<State>(ltm: Ltm, own: Pick<FollowOptions<State>, 'history' | 'initial'> & Resumed = {}) {
      const { history = options.history, last } = own;
      const known = followed.get(pathOf(ltm));
      const follower = known && !known.over ? known : start(ltm, last ?? firstView<State>(ltm, { ...own, history }), history);
      return follower as unknown as Following<State>;
    },
  };
}

/** Goes on from a view. */
export interface Resumed {
  last?: AnyView | undefined;
}

/** An id that no LTM gets soon: the gateway answers at once that it is not followed. */
const NOBODY = MAX_ID;

/** One WebSocket for many LTMs. It opens when somebody needs it, one attempt at a time, and closes after the last. */
class SharedSocket implements Channel {
  /** The LTMs that are followed, or will be once the socket is open. */
  private readonly ears = new Map<string, Ear>();
  /** The LTMs that the gateway was asked to leave, and has not left yet: its messages about them are old. */
  private readonly leaving = new Set<string>();
  /** The names of LTMs that are followed by key, by their ids. */
  private readonly names = new Map<string, string>();
  /** What to follow each LTM with. */
  private readonly targets = new Map<string, Target>();
  private send: ((data: string) => void) | undefined;
  private socket: Promise<Link> | undefined;
  private stop: AbortController | undefined;
  private failures = 0;
  /** When the next attempt may begin. */
  private next = 0;
  /** Whether each LTM has an event stream of its own, because no WebSocket opened. */
  private events: OwnConnection | undefined;
  /** The attempts to open event streams, one after the other. */
  private queue: Promise<unknown> = Promise.resolve();
  private heard = 0;
  private answered: ((yes: boolean) => void)[] = [];

  constructor(
    private readonly server: Server,
    private readonly sockets: Sockets,
    private readonly backoff: Backoff,
  ) {}

  async open(target: Target, ear: Ear): Promise<Link> {
    const { WebSocket, EventSource } = this.sockets;
    if (!WebSocket || (this.events && EventSource)) {
      this.events ??= new OwnConnection(this.server, { EventSource });
      return this.openEvents(this.events, target, ear);
    }
    const { path } = target;
    this.ears.set(path, ear);
    this.targets.set(path, target);
    const socket = (this.socket ??= this.connect(WebSocket, target));
    try {
      await socket;
    } catch (error) {
      if (this.socket === socket) {
        this.socket = undefined;
        this.failed();
      }
      this.leave(path, ear);
      throw error;
    }
    if (this.ears.get(path) === ear) {
      this.follow(path);
    }
    return { close: () => this.leave(path, ear), answers: (milliseconds) => this.answers(milliseconds) };
  }

  private async openEvents(events: OwnConnection, target: Target, ear: Ear): Promise<Link> {
    const turn = this.queue;
    const { signal } = target;
    let done = () => {};
    this.queue = new Promise<void>((resolve) => {
      done = () => {
        signal.removeEventListener('abort', done);
        resolve();
      };
    });
    signal.addEventListener('abort', done);
    await turn;
    await this.pause(signal);
    const end = (end: End) => {
      if (!end.opened) {
        // Try a WebSocket next.
        this.failed();
        this.events = undefined;
      }
      done();
      ear.end(end);
    };
    try {
      const link = await events.open(target, { ...ear, open: done, end });
      return { close: () => (done(), link.close()) };
    } catch (error) {
      done();
      throw error;
    }
  }

  private async connect(WebSocket: SocketConstructor, target: Target): Promise<Link> {
    this.stop = new AbortController();
    const { signal } = this.stop;
    await this.pause(signal);
    const query = await withTicket(this.server, { ...target, query: {}, signal });
    // React Native has no `throwIfAborted`.
    if (signal.aborted) {
      throw new Error('nobody follows on this socket any more');
    }
    const url = this.server.url('ws', query).replace(/^http/, 'ws');
    let since = 0;
    return openSocket(WebSocket, url, {
      open: (send) => {
        since = performance.now();
        this.send = send;
        this.ears.forEach((_, path) => this.follow(path));
      },
      text: (data) => this.take(data),
      end: (end) => {
        if (since && performance.now() - since > this.backoff.max) {
          this.failures = 0;
        }
        this.drop(end);
      },
    });
  }

  /** Waits until the next attempt may begin. */
  private async pause(signal: AbortSignal): Promise<void> {
    const left = this.next - performance.now();
    if (left > 0) {
      await sleep(left, signal);
    }
  }

  private failed(): void {
    this.next = performance.now() + pause(this.backoff, this.failures++);
  }

  /** Ends the socket, for all. */
  private drop(end: End): void {
    const ears = [...this.ears.values()];
    this.failed();
    this.closeSocket();
    if (!end.opened && this.sockets.EventSource) {
      this.events = new OwnConnection(this.server, { EventSource: this.sockets.EventSource });
    }
    ears.forEach((ear) => ear.end(end));
  }

  private closeSocket(): void {
    void this.socket?.then((link) => link.close()).catch(() => {});
    this.stop?.abort();
    this.socket = this.send = this.stop = undefined;
    this.ears.clear();
    this.targets.clear();
    this.names.clear();
    this.leaving.clear();
    this.answered.splice(0).forEach((tell) => tell(false));
  }

  /** Asks the gateway for an LTM, if the socket is open and the gateway has left that LTM. */
  private follow(path: string): void {
    if (!this.ears.has(path)) {
      return;
    }
    const { after, init } = this.targets.get(path)?.query ?? {};
    if (!this.leaving.has(path)) {
      this.send?.(`{"follow":${referenceOf(path)},${after === undefined ? `"init":"${init}"` : `"after":${JSON.stringify(after)}`},"live":true}`);
    }
  }

  private leave(path: string, ear: Ear): void {
    if (this.ears.get(path) !== ear) {
      return;
    }
    this.ears.delete(path);
    this.targets.delete(path);
    if (!this.ears.size) {
      this.closeSocket();
    } else if (this.send) {
      this.leaving.add(path);
      this.send(`{"unfollow":${referenceOf(path)}}`);
    }
  }

  private take(data: string): void {
    this.heard = performance.now();
    const id = /^\{"id":\s*(\d+)/.exec(data)?.[1] ?? /"id":\s*(\d+)\}$/.exec(data)?.[1] ?? '';
    const { end, follow } = noticeOf(data);
    const path = typeof follow === 'object' ? pathOf(follow) : (this.names.get(id) ?? id);
    if (id !== path && id) {
      this.names.set(id, path);
    }
    if (follow && !end) {
      return;
    }
    if (end) {
      // If the LTM is followed again, the gateway names it again.
      this.names.delete(id);
    }
    if (path === NOBODY) {
      this.answered.splice(0).forEach((tell) => tell(true));
    } else if (end?.code === 4401) {
      // The socket has one credential for all.
      this.drop({ ...end, opened: true });
    } else if (!this.leaving.has(path)) {
      this.ears.get(path)?.text(data);
    } else if (end?.code === 1000) {
      this.leaving.delete(path);
      this.follow(path);
    }
  }

  /** Whether the gateway answers. One question is enough for all that ask meanwhile. */
  private answers(milliseconds: number): Promise<boolean> {
    if (!this.send || performance.now() - this.heard < milliseconds) {
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.drop({ code: 1006, reason: 'no message arrived', opened: true }), milliseconds);
      const tell = (yes: boolean) => {
        clearTimeout(timer);
        resolve(yes);
      };
      if (this.answered.push(tell) === 1) {
        this.send?.(`{"unfollow":${NOBODY}}`);
      }
    });
  }
}

/** An LTM in a message to the gateway. A number is text here: JavaScript cannot hold every id. */
function referenceOf(path: string): string {
  const [, fqn, key] = path.split('/').map(decodeURIComponent);
  return key === undefined ? path : JSON.stringify({ fqn, key });
}

interface Notice {
  /** How an LTM's messages have ended. */
  end?: Omit<End, 'opened'>;
  /** The LTM as the client named it. */
  follow?: Ltm;
}

/** What a message says that is no entry. */
function noticeOf(data: string): Notice {
  try {
    return /"(?:end|follow)":/.test(data) ? JSON.parse(data) : {};
  } catch {
    return {};
  }
}
