// Follows the list of LTMs: `/ws/ltms`.

import { ORIGIN, ask, ticket } from './api.js';
import { mark, plain } from './digits.js';
import { onToken } from './session.js';
import { statusOf } from '../data/status.js';

const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 10_000;
const OPENS_WITHIN = 10_000;
/** A connection can be lost without a close. After this silence, another one replaces it, from the cursor. */
const SILENCE = 60_000;
/** The close code of a gateway that restarts. */
const RESTARTING = 1012;
const LOST = { title: 'The connection was lost', message: 'The page continues by itself when the service is back.' };

/**
 * Follows one page of the list until `signal` aborts. Calls `onChange({ rows, next, status, error })` for each change. `status` is
 * `connecting`, `live` or `reconnecting`, or `failed` if a retry cannot help. `next` is the value of `before` for the next page.
 */
export function followList(wanted, onChange, signal) {
  new ListFeed(wanted, onChange, signal).run();
}

class ListFeed {
  #page = { rows: [], next: null, status: 'connecting', error: null };
  #cursor = null;
  #failures = 0;
  #wake = () => {};

  constructor({ playground = false, fqn = '', before = '', limit = 50 }, onChange, signal) {
    Object.assign(this, { onChange, signal });
    this.query = new URLSearchParams({ playground, limit });
    if (fqn) this.query.set('fqn', fqn);
    if (before) this.query.set('before', before);
  }

  async run() {
    const { signal } = this;
    signal.addEventListener('abort', () => this.#wake());
    window.addEventListener('online', () => this.#wake(), { signal });
    // Another token may be accepted.
    onToken(() => this.#wake(), signal);
    while (!signal.aborted) {
      try {
        const code = await this.#session();
        if (signal.aborted) return;
        if (code === null) continue;
        if (code !== RESTARTING) this.#failures += 1;
        this.#show(this.#cursor === null ? { status: 'connecting' } : { status: 'reconnecting', error: LOST });
      } catch (error) {
        if (signal.aborted) return;
        this.#failures += 1;
        const lasting = error.status >= 400 && error.status < 500 && error.status !== 429;
        this.#show({ status: lasting ? 'failed' : 'reconnecting', error });
        if (lasting) {
          await this.#sleep();
          continue;
        }
      }
      await this.#sleep(Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures));
    }
  }

  /** Follows over one connection until it ends. Returns the close code, or null after a silence. Throws if it did not open. */
  async #session() {
    const url = new URL('ws/ltms', ORIGIN);
    url.protocol = url.protocol.replace('http', 'ws');
    const shown = await ticket(this.signal);
    url.search = new URLSearchParams([...this.query, ['live', '1'], ...(this.#cursor ? [['after', this.#cursor]] : []), ...(shown ? [['ticket', shown]] : [])]);
    const { opened, code } = await this.#connection(new WebSocket(url));
    // A browser does not report why a socket did not open: ask the API.
    if (!opened && !this.signal.aborted) await ask(`ltm?${this.query}`, { signal: this.signal });
    return code;
  }

  #connection(socket) {
    return new Promise((resolve) => {
      let opened = false;
      let timer;
      const end = (code) => {
        clearTimeout(timer);
        this.signal.removeEventListener('abort', leave);
        resolve({ opened, code });
        socket.onmessage = socket.onclose = null;
        socket.close();
      };
      const leave = () => end(null);
      const within = (limit, code) => {
        clearTimeout(timer);
        timer = setTimeout(end, limit, code);
      };
      within(OPENS_WITHIN, 1006);
      socket.onopen = () => {
        opened = true;
        within(OPENS_WITHIN, 1006);
      };
      socket.onmessage = ({ data }) => {
        within(SILENCE, null);
        this.#take(JSON.parse(mark(data)));
      };
      socket.onclose = ({ code }) => end(code);
      this.signal.addEventListener('abort', leave);
    });
  }

  #take({ cursor, reset, change, live }) {
    this.#cursor = cursor;
    if (live) this.#failures = 0;
    const told = reset ?? change ?? { rows: [], removed: [], next: this.#page.next };
    const rows = told.rows.map((row) => ({ ...row, id: plain(row.id), status: statusOf({ _status: row.status }) }));
    const gone = new Set([...rows.map((row) => row.id), ...(told.removed ?? []).map(plain)]);
    const kept = reset ? [] : this.#page.rows.filter((row) => !gone.has(row.id));
    this.#show({
      rows: [...kept, ...rows].sort(newestFirst),
      next: told.next === null ? null : plain(told.next),
      status: live ? 'live' : this.#page.status,
      error: live ? null : this.#page.error,
    });
  }

  #show(more) {
    this.#page = { ...this.#page, ...more };
    this.onChange(this.#page);
  }

  /** Waits for a time, until the browser is online again, or until there is a new token. */
  #sleep(time) {
    return new Promise((resolve) => {
      const timer = time === undefined ? undefined : setTimeout(resolve, time);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Ids are whole numbers as text, with up to twenty digits. */
function newestFirst(a, b) {
  return b.id.length - a.id.length || (a.id < b.id ? 1 : -1);
}
