// Measures the memory of a page that follows for a day: a message each second, an error each minute, a connection lost
// every ten minutes, and once more with a new LTM each second. `npm run memory` prints it, and fails if memory grows.
import { followList, followLtm, followMany } from '../dist/index.js';

const DAY = 24 * 60 * 60;
/** The most that the heap may grow, in bytes. */
const GROWTH = 1024 * 1024;
const options = { fetch: async () => new Response('{}'), backoff: { min: 0, max: 0 }, watchdog: false };

/** A gateway: it sends as many messages as it is told to, and closes every connection after 600. */
class Gateway {
  seq = 1;
  sent = 0;

  constructor(message, events) {
    this.message = message;
    const gateway = this;
    class Connection {
      constructor() {
        setImmediate(() => (this.onopen({}), gateway.begin(this)));
      }
      addEventListener() {}
      send() {}
      close() {}
      lose() {
        this.onclose?.({ code: 1006, reason: '' });
        this.onerror({});
      }
    }
    class Refused {
      constructor() {
        setImmediate(() => this.onclose?.({ code: 1006, reason: '' }));
      }
      close() {}
    }
    this.options = { ...options, WebSocket: events ? Refused : Connection, EventSource: events && Connection };
  }

  begin(connection) {
    this.connection = connection;
    this.say(this.message(this.seq, true));
    this.say(JSON.stringify({ id: 1, cursor: `${this.seq}-a`, live: true }));
    this.ready?.();
  }

  say(data) {
    this.connection.onmessage({ data });
  }

  async next() {
    this.say(this.message(++this.seq, false));
    if (++this.sent % 600 === 0) {
      const again = new Promise((resolve) => (this.ready = resolve));
      this.connection.lose();
      await again;
    }
  }
}

/** A gateway on which, each second, another LTM is followed by its key, is deleted, and is left by the client. */
class Runs extends Gateway {
  constructor() {
    super(entry, false);
    const gateway = this;
    this.options.WebSocket.prototype.send = (text) => gateway.answer(JSON.parse(text));
  }

  answer({ follow, unfollow }) {
    if (follow?.key) {
      const id = ++this.id;
      this.say(JSON.stringify({ id, follow }));
      this.say(JSON.stringify({ id, cursor: '1-a', reset: { reason: 'requested', state: {}, snapshots_count: 1 } }));
      this.say(JSON.stringify({ id, cursor: '2-b', deleted: true }));
      this.say(JSON.stringify({ id, end: { code: 4410, reason: 'deleted' } }));
    } else if (unfollow?.key) {
      this.say(JSON.stringify({ id: null, follow: unfollow, end: { code: 1000, reason: 'unfollowed' } }));
    }
  }

  id = 1;

  async next() {
    await super.next();
    await this.many.follow({ fqn: 'app.Agent', key: `run-${this.seq}` }).closed;
  }
}

const state = (n) => ({ n, text: 'x'.repeat(200), list: [n, n + 1] });
const entry = (seq, first) => {
  const error = { id: String(seq), reason: 'x', item: null, retries: [], retrying: false, success: false, created_at: '', updated_at: '' };
  const patch = [{ op: 'replace', path: '/n', value: seq }, { op: 'replace', path: '/list/0', value: seq }];
  const snapshot = { time: '', reason: 'execute', item: null, patch, execute_queue: [], transitions_queue: [] };
  const what = first
    ? { reset: { reason: 'requested', state: state(seq), snapshots_count: seq } }
    : seq % 60 === 0 ? { error } : { snapshot };
  return JSON.stringify({ id: 1, cursor: `${seq}-a`, ...what });
};
const row = (id, seq) => ({ id, name: 'x', fqn: 'app.Agent', status: 'active', snapshots_count: seq, created_at: '', updated_at: '' });
const rows = (seq, first) =>
  JSON.stringify({
    cursor: `${seq}-a`,
    ...(first
      ? { reset: { reason: 'requested', rows: Array.from({ length: 50 }, (_, n) => row(seq + 50 - n, seq)), next: seq } }
      : { change: { rows: [row(seq + 50, seq)], removed: [seq], next: seq + 1 } }),
  });

const one = (gateway) => followLtm('http://services', 1, { ...gateway.options, history: false });
const many = (gateway) => (gateway.many = followMany('http://services', { ...gateway.options, history: false })).follow(1);
const ways = {
  'one LTM, `history: false`': [new Gateway(entry), one],
  'one LTM on event streams': [new Gateway(entry, true), one],
  'many LTMs, `history: false`': [new Gateway(entry), many],
  'many LTMs on event streams': [new Gateway(entry, true), many],
  'a new LTM each second, deleted at once': [new Runs(), many],
  'a list of 50 rows': [new Gateway(rows), (gateway) => followList('http://services', {}, gateway.options)],
};

const heap = () => (gc(), process.memoryUsage().heapUsed);
for (const [name, [gateway, follow]] of Object.entries(ways)) {
  const ready = new Promise((resolve) => (gateway.ready = resolve));
  const followed = follow(gateway);
  // A reader that never reads costs little, too.
  followed[Symbol.asyncIterator]();
  await ready;
  const used = [];
  for (let second = 1; second <= DAY; second++) {
    await gateway.next();
    if (second % (DAY / 8) === 0) used.push(heap());
  }
  const grown = used.at(-1) - used[1];
  console.log(`${name}: ${used.map((bytes) => (bytes / 1024 / 1024).toFixed(2)).join(', ')} MiB; from hour 6 to 24: ${(grown / 1024).toFixed(0)} KiB`);
  if (grown > GROWTH) {
    process.exitCode = 1;
  }
  followed.close();
}
