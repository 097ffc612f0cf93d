// Measures the memory of a page that follows for a day: a message each second, an error each minute, a connection lost
// every ten minutes. `npm run memory` prints it, and fails if memory grows.
import { followList, followLtm, followMany } from '../dist/index.js';

const DAY = 24 * 60 * 60;
const GROWTH = 1024 * 1024;

/** A gateway: it sends as many messages as it is told to, and closes every connection after 600. */
class Gateway {
  seq = 1;
  sent = 0;

  constructor(message) {
    const gateway = this;
    this.message = message;
    this.WebSocket = class {
      constructor() {
        gateway.socket = this;
        setImmediate(() => {
          this.onopen({});
          gateway.say(message(gateway.seq, true));
          gateway.say(JSON.stringify({ id: 1, cursor: `${gateway.seq}-a`, live: true }));
          gateway.ready?.();
        });
      }
      send() {}
      close() {}
    };
  }

  say(data) {
    this.socket.onmessage({ data });
  }

  async next() {
    this.say(this.message(++this.seq, false));
    if (++this.sent % 600 === 0) {
      const again = new Promise((resolve) => (this.ready = resolve));
      this.socket.onclose({ code: 1006, reason: '' });
      await again;
    }
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

const options = (gateway) => ({ WebSocket: gateway.WebSocket, EventSource: false, backoff: { min: 0, max: 0 }, watchdog: false });
const ways = {
  'one LTM, `history: false`': [entry, (gateway) => followLtm('http://services', 1, { ...options(gateway), history: false })],
  'many LTMs, `history: false`': [
    entry,
    (gateway) => followMany('http://services', { ...options(gateway), history: false }).follow(1),
  ],
  'a list of 50 rows': [rows, (gateway) => followList('http://services', {}, options(gateway))],
};

const heap = () => (gc(), process.memoryUsage().heapUsed);
for (const [name, [message, follow]] of Object.entries(ways)) {
  const gateway = new Gateway(message);
  const ready = new Promise((resolve) => (gateway.ready = resolve));
  const followed = follow(gateway);
  // A reader that never reads costs little, too.
  followed[Symbol.asyncIterator]();
  await ready;
  const seconds = [];
  const used = [];
  for (let second = 1; second <= DAY; second++) {
    await gateway.next();
    if (second % (DAY / 8) === 0) {
      seconds.push(second);
      used.push(heap());
    }
  }
  const grown = used.at(-1) - used[1];
  console.log(`${name}: ${used.map((bytes) => (bytes / 1024 / 1024).toFixed(2)).join(', ')} MiB; from hour 6 to 24: ${(grown / 1024).toFixed(0)} KiB`);
  if (grown > GROWTH) {
    process.exitCode = 1;
  }
  followed.close();
}
