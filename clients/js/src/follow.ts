import type { Channel } from './channel.js';
import type { JsonObject } from './json.js';
import { idIn, pathOf, Server, type Ltm, type LtmId, type Query } from './server.js';
import { Session, type ConnectOptions, type Followed } from './session.js';
import { emptyView, withDocument, withMessage, withPage, type AnyView, type Change, type LtmDocument, type Message, type View } from './view.js';

/** How to follow an LTM. */
export interface FollowOptions<State = JsonObject> extends ConnectOptions {
  /** Whether to keep the history (default true). `false`: keep only the state, and fetch no document. */
  history?: boolean | undefined;
  /**
   * Whether to fetch the rollbacks that happened before (default false): the history before each of them, which can be
   * much. Without this, `view.rollbacks` begins with the next rollback.
   */
  rollbacks?: boolean | undefined;
  /**
   * The LTM's document, for example from `Reader.document` on a server. The first view shows it, and the client does
   * not fetch it again.
   */
  initial?: LtmDocument<State> | undefined;
}

/** An LTM that the client follows. */
export type Following<State = JsonObject> = Followed<View<State>, Change>;

/**
 * Follows an LTM: fetches its document, and keeps the view up to date across disconnects until you call `close`.
 *
 * @param url Where the services are, for example `http://localhost:8000`.
 * @param ltm The id of the LTM, a large one as bigint or text; or `{ fqn, key }`.
 */
export function followLtm<State = JsonObject>(url: string | URL, ltm: Ltm, options: FollowOptions<State> = {}): Following<State> {
  return new Follower(new Server(url, options.fetch), ltm, firstView(ltm, options), options) as unknown as Following<State>;
}

/** The view before anything has arrived. */
export function firstView<State>(ltm: Ltm, { initial, history }: FollowOptions<State>): AnyView {
  const view = emptyView(ltm);
  return initial ? { ...withDocument(view, initial as LtmDocument, history), id: view.id || (String(initial.id) as LtmId) } : view;
}

export class Follower extends Session<AnyView, Change> {
  private readonly history: boolean;
  /** What names the LTM in a path. */
  private readonly path: string;
  /** Whether the client must fetch the view before it connects. */
  private stale: boolean;
  /** The change to report when the document has been fetched again. */
  private reload: Change = { type: 'document' };

  constructor(
    server: Server,
    ltm: Ltm,
    view: AnyView,
    protected override readonly options: Pick<FollowOptions, 'history' | 'rollbacks'> & ConnectOptions,
    channel?: Channel,
  ) {
    super(server, view, options, channel);
    this.history = options.history ?? true;
    this.path = pathOf(ltm);
    this.stale = view.cursor === null;
  }

  protected async prepare(token: string | undefined): Promise<void> {
    if (this.history && this.stale) {
      let document: LtmDocument | undefined;
      do {
        const query = this.options.rollbacks ? `?rollbacks=true&from_rollback=${document?.next_rollback ?? 0}` : '';
        const path = `api/v0/ltm/${this.path}${query}`;
        const page = await this.server.ask(path, {}, token, this.stop.signal, (response) => response.json());
        document = withPage(document, page);
      } while (document.next_rollback !== undefined);
      this.stale = false;
      this.emit(withDocument(this.view, document), this.reload);
      this.reload = { type: 'document' };
    }
  }

  protected target(): { path: string; query: Query } {
    const { cursor } = this.view;
    const from: Query = cursor !== null && !this.stale ? { after: cursor } : { init: 'state' };
    return { path: this.path, query: { live: '1', ...from } };
  }

  protected async askWhy(token: string | undefined): Promise<void> {
    // The smallest answer that the API has.
    await this.server.ask(`api/v0/ltm/${this.path}/snapshots?limit=1`, {}, token, this.stop.signal, () => {});
  }

  protected forget(): void {
    this.stale = true;
  }

  protected take(data: string): { code: number; reason: string } | undefined {
    const message = JSON.parse(data) as Message;
    if (message.end) {
      return message.end;
    }
    if (message.deleted) {
      const { view } = this;
      this.finish('deleted', undefined, view.cursor === null ? view : { ...view, cursor: message.cursor });
      return;
    }
    if (!this.view.id) {
      this.view = { ...this.view, id: idIn(data) };
    }
    if (message.reset && this.history) {
      this.reload = { type: 'reset', reason: message.reset.reason };
    }
    const next = withMessage(this.view, message, this.history);
    if (!next) {
      throw new Error('it is not of this history');
    }
    const [view, change] = next;
    if (message.live) {
      this.live(view);
    } else if (change) {
      this.stale = false;
      this.emit(view, change);
    } else {
      this.view = view;
    }
    return;
  }

  protected async behind(token: string | undefined): Promise<boolean> {
    const { cursor } = this.view;
    const init = { headers: { 'If-None-Match': `"${cursor}"` } };
    const read = ({ status }: Response) => status !== 304;
    return cursor === null || this.server.ask(`api/v0/ltm/${this.path}`, init, token, this.stop.signal, read);
  }
}

/** Follows on from a view. */
export function resumeLtm<State>(url: string | URL, ltm: Ltm, last: View<State>, options: FollowOptions<State>): Following<State> {
  return new Follower(new Server(url, options.fetch), ltm, resumed(last), options) as unknown as Following<State>;
}

/** The same view of something that is followed again. */
export function resumed<State>(last: View<State>): AnyView {
  const { error: _, ...view } = last as unknown as AnyView;
  return { ...view, status: 'connecting' };
}
