// However a connection fails, the client waits longer each time and has one connection at a time.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { mock, test } from 'node:test';
import { LtmAgent } from '../dist/agui/index.js';
import { followList, followLtm, followMany } from '../dist/index.js';
import { until } from './support/until.mjs';

const MINUTES = 10;
const reset = (extra = '') => `{"id":1,"cursor":"1-a","reset":{"reason":"requested","state":{},"snapshots_count":1}${extra}}`;
const live = '{"id":1,"cursor":"1-a","live":true}';
const listReset = '{"cursor":"1-a","reset":{"reason":"requested","rows":[],"next":null}}';

/** What a connection does after it has opened; `false`: it does not open. */
const patterns = {
  'goes live and dies at once': (say, end) => (say(reset()), say(live), end(1006)),
  'opens and dies at once': (say, end) => end(1006),
  'never opens': false,
  'is closed by a gateway that restarts for ever': (say, end) => (say(reset()), say(live), end(1012)),
  'is over a limit': (say, end) => end(1013),
  'forks for ever': (say, end) => (say(reset()), say(live), end(4409)),
  'sends what does not apply': (say) => (say(reset()), say(live), say('{"id":1,"cursor":"2-b","snapshot":{"patch":[{"op":"remove","path":"/none"}]}}')),
  'sends what is no message': (say) => (say(reset()), say(live), say('{"id":1')),
  'has its token rejected for ever': (say, end) => (say(reset()), say(live), end(4401)),
};

/** Lets ten minutes pass; gives how often a connection was tried, and the most that there were at a time. */
async function passTime(pattern, follow) {
  let tried = 0;
  let open = 0;
  let most = 0;
  class WebSocket {
    constructor() {
      tried++;
      most = Math.max(most, ++open);
      setImmediate(() => this.begin());
    }
    begin() {
      const say = (data) => this.onmessage?.({ data });
      if (pattern) {
        this.onopen({});
        setImmediate(() => pattern(say, (code) => this.end(code)));
      } else {
        this.end(1006);
      }
    }
    end(code) {
      this.ended ||= !!open--;
      this.onclose?.({ code, reason: '' });
    }
    send() {}
    close() {
      if (!this.ended) this.end(1000);
    }
  }
  const answer = { ticket: 't', cursor: '1-a', state: {}, snapshots: [], rollbacks: [], errors: [], first_index: 0, snapshots_count: 1 };
  const fetch = async () => new Response(JSON.stringify(answer));
  await tenMinutes(() => follow({ WebSocket, EventSource: false, fetch, token: async () => 'token', watchdog: false }));
  return { tried, most };
}

/** Lets ten minutes pass between `begin` and the function that it returns. */
async function tenMinutes(begin) {
  mock.timers.enable({ apis: ['setTimeout'] });
  // The longest pause that chance allows for is twice this one.
  const random = mock.method(Math, 'random', () => 0.5);
  try {
    const close = begin();
    for (let tick = 0; tick < MINUTES * 60 * 10; tick++) {
      for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
      mock.timers.tick(100);
    }
    await close();
  } finally {
    random.mock.restore();
    mock.timers.reset();
  }
}

const ways = {
  followLtm: (options) => {
    const one = followLtm('http://services', 1, options);
    return () => one.close();
  },
  'followLtm without history': (options) => {
    const one = followLtm('http://services', 1, { ...options, history: false });
    return () => one.close();
  },
  followMany: (options) => {
    const many = followMany('http://services', options);
    for (let id = 1; id <= 20; id++) many.follow(id);
    return () => many.close();
  },
};

for (const [name, pattern] of Object.entries(patterns)) {
  for (const [way, follow] of Object.entries(ways)) {
    test(`${way}: a connection that ${name}`, async () => {
      const { tried, most } = await passTime(pattern, follow);
      // In the end, pauses of 5 s.
      const expected = (MINUTES * 60) / 5;
      // One LTM whose messages do not apply does not end the socket of the others.
      const least = way === 'followMany' && name.startsWith('sends') ? 1 : expected / 4;
      assert.ok(tried >= least && tried <= expected * 2, `${tried} attempts in ${MINUTES} minutes`);
      assert.equal(most, 1);
    });
  }
  test(`followList: a connection that ${name}`, async () => {
    const own = pattern && ((say, end) => pattern((data) => say(data.includes('reset') ? listReset : data), end));
    const { tried, most } = await passTime(own, (options) => {
      const list = followList('http://services', {}, { ...options, fetch: async () => new Response('[]') });
      return () => list.close();
    });
    assert.ok(tried <= (MINUTES * 60) / 2.5, `${tried} attempts in ${MINUTES} minutes`);
    assert.equal(most, Math.min(tried, 1));
  });
}

const began = 'data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}\n\n';

for (const [name, text] of Object.entries({ 'opens and ends': '', 'opens, begins the run, and ends': began })) {
  test(`LtmAgent: a connection that ${name}`, async () => {
    let tried = 0;
    const fetch = async () => (tried++, new Response(text));
    await tenMinutes(() => {
      const agent = new LtmAgent({ url: 'http://services', fqn: 'app.Agent', threadId: 't', fetch });
      const run = agent.runAgent();
      return () => (agent.abortRun(), run.catch(() => {}));
    });
    // In the end, pauses of 2.5 s.
    const expected = (MINUTES * 60) / 2.5;
    assert.ok(tried >= expected / 4 && tried <= expected * 2, `${tried} attempts in ${MINUTES} minutes`);
  });
}

test('Node does not warn of a leak, however many LTMs are followed on one socket', async () => {
  const warnings = [];
  const warned = (warning) => warnings.push(String(warning));
  process.on('warning', warned);
  const stop = new AbortController();
  const many = followMany('http://services', { WebSocket: Lost, EventSource: false, history: false, signal: stop.signal });
  const all = Array.from({ length: 20 }, (_, index) => many.follow(index + 1));
  await new Promise(setImmediate);
  stop.abort();
  await Promise.all([...all, many.follow(21)].map(({ closed }) => closed));
  process.off('warning', warned);
  assert.deepEqual(warnings, []);
  assert.deepEqual(getEventListeners(stop.signal, 'abort'), []);
});

/** Connections that are lost as soon as they are live; each counts. */
class Lost {
  static opened = 0;
  constructor() {
    setImmediate(() => {
      Lost.opened++;
      this.onopen({});
      this.onmessage({ data: reset() });
      this.onmessage({ data: live });
      this.onclose?.({ code: 1006, reason: '' });
      this.onerror({});
    });
  }
  addEventListener() {}
  send() {}
  close() {}
}

class Refused {
  constructor() {
    setImmediate(() => this.onclose?.({ code: 1006, reason: '' }));
  }
  close() {}
}

for (const [name, sockets] of Object.entries({ WebSockets: { WebSocket: Lost }, 'event streams': { WebSocket: Refused, EventSource: Lost } })) {
  for (const way of ['followLtm', 'followMany']) {
    test(`${way}: ${name} that were lost leave no listener behind`, async () => {
      const stop = new AbortController();
      const fetch = async () => new Response('{}');
      const options = { EventSource: false, ...sockets, fetch, history: false, watchdog: false, backoff: { min: 0, max: 0 } };
      const one =
        way === 'followLtm' ? followLtm('http://services', 1, { ...options, signal: stop.signal }) : followMany('http://services', { ...options, signal: stop.signal }).follow(1);
      const begun = Lost.opened;
      await until(() => Lost.opened - begun > 100);
      // Those of what lasts as long as the follow, and of the attempt that is under way.
      assert.ok(getEventListeners(one.stop.signal, 'abort').length <= 5);
      assert.ok(getEventListeners(stop.signal, 'abort').length <= 2);
      stop.abort();
      await one.closed;
      assert.deepEqual(getEventListeners(stop.signal, 'abort'), []);
    });
  }
}
