import { parseRows, queryOf, type ListFilter, type Row } from './filter.js';
import { isSame, share } from './json.js';
import type { Problem } from './problem.js';
import { Server, withQuery, type Cursor, type LtmId, type Query } from './server.js';
import { Session, type ConnectOptions, type Followed } from './session.js';
import type { Status } from './view.js';

/** One page of a list. */
export interface ListPage {
  /** The highest id first. */
  readonly rows: readonly Row[];
  /** `before` of the next page; null if this is the last one. */
  readonly next: LtmId | null;
}

/** How to follow a list. */
export interface ListOptions extends ConnectOptions {
  /** The page, for example from `Reader.list` on a server. The first view shows it. */
  initial?: ListPage | undefined;
}

/** The status of a list: as that of an LTM, but a list is not deleted. */
export type ListStatus = Exclude<Status, 'deleted'>;

interface ListFacts {
  /** `before` of the next page; null if this is the last one. */
  readonly next: LtmId | null;
  /** Why the view is not live. */
  readonly error?: Problem;
}

/** A list as the client knows it. Each change creates another one; rows that did not change are the same objects. */
export type ListView = ListFacts &
  (
    | { readonly status: 'live' | 'reconnecting'; readonly rows: readonly Row[] }
    | { readonly status: Exclude<ListStatus, 'live' | 'reconnecting'>; readonly rows: readonly Row[] | undefined }
  );

/** What changed from the previous view of a list to this one. */
export type ListChange =
  /** The rows were replaced. */
  | { type: 'rows' }
  /** Some are new or different, and these are gone. */
  | { type: 'change'; rows: readonly Row[]; removed: readonly LtmId[] }
  | { type: 'reset'; reason: 'coalesced' }
  | { type: 'status'; status: ListStatus };

/** A list that the client follows. */
export type FollowingList = Followed<ListView, ListChange>;

interface AnyListView extends ListFacts {
  readonly status: Status;
  readonly rows: readonly Row[] | undefined;
  readonly cursor: Cursor | null;
}

interface ListMessage {
  cursor: Cursor;
  reset?: { rows: Row[]; next: LtmId | null };
  change?: { rows: Row[]; removed?: LtmId[]; next: LtmId | null };
  live?: true;
  end?: { code: number; reason: string };
}

/** Follows one page of the list of LTMs, the newest first. */
export function followList(url: string | URL, filter: ListFilter = {}, options: ListOptions = {}): FollowingList {
  const server = new Server(url, options.fetch);
  return new ListFollower(server, firstList(options) as AnyListView, queryOf(filter), options) as unknown as FollowingList;
}

/** The view before anything has arrived. */
export function firstList({ initial }: Pick<ListOptions, 'initial'>): ListView {
  const { rows, next = null } = initial ?? {};
  const view: AnyListView = { status: 'connecting', rows, next, cursor: null };
  return view as ListView;
}

/** Asks the API for a page. */
export function listPage(response: Response): Promise<ListPage> {
  const link = /[?&]before=(\d+)[^>]*>;\s*rel="next"/.exec(response.headers.get('Link') ?? '');
  return response.text().then((text) => ({ rows: parseRows<Row[]>(text), next: (link?.[1] as LtmId | undefined) ?? null }));
}

class ListFollower extends Session<AnyListView, ListChange> {
  constructor(
    server: Server,
    view: AnyListView,
    private readonly filter: Query,
    options: ListOptions,
  ) {
    super(server, view, options);
  }

  protected async prepare(): Promise<void> {}

  protected target(): { path: string; query: Query } {
    const { cursor } = this.view;
    return { path: 'ltms', query: { ...this.filter, live: '1', ...(cursor !== null && { after: cursor }) } };
  }

  protected async askWhy(token: string | undefined): Promise<void> {
    await this.page(token, { limit: '1', ...this.filter });
  }

  protected forget(): void {
    this.view = { ...this.view, cursor: null };
  }

  protected take(data: string): { code: number; reason: string } | undefined {
    const { cursor, reset, change, live, end } = parseRows<ListMessage>(data);
    if (end) {
      return end;
    }
    let view: AnyListView = { ...this.view, cursor };
    if (reset) {
      const known = new Map(view.rows?.map((row) => [row.id, row]));
      const rows = share(this.view.rows, reset.rows.map((row) => share(known.get(row.id), row)));
      this.emit((view = { ...view, rows, next: reset.next }), { type: 'rows' });
    } else if (change) {
      const { rows, removed = [], next } = change;
      const gone = new Set([...rows.map(({ id }) => id), ...removed]);
      const kept = (view.rows ?? []).filter(({ id }) => !gone.has(id));
      view = { ...view, rows: [...kept, ...rows].sort(newestFirst), next };
      this.emit(view, { type: 'change', rows, removed });
    }
    if (live && view.rows) {
      this.live(view);
    } else {
      this.view = view;
    }
    return;
  }

  protected async behind(token: string | undefined): Promise<boolean> {
    return !isSame((await this.page(token, this.filter)).rows, this.view.rows);
  }

  private page(token: string | undefined, filter: Query): Promise<ListPage> {
    return this.server.ask(withQuery('api/v0/ltm', filter), {}, token, this.stop.signal, listPage);
  }
}

/** Ids are whole numbers as text. */
function newestFirst(a: Row, b: Row): number {
  return b.id.length - a.id.length || (a.id < b.id ? 1 : -1);
}
