// An agent of AG-UI over connections that are lost anywhere: it ends with the messages and the state of an undisturbed run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LtmAgent } from '../dist/agui/index.js';
import { Joined } from '../dist/agui/joined.js';
import { Producer } from '../dist/index.js';
import { Guarded } from './support/guarded.mjs';
import { Proxy } from './support/proxy.mjs';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';
import { events, messages } from '../../../tests/agui/recorded.mjs';

let services, proxy, producer;
before(async () => {
  services = await Services.start({ LTM__GATEWAY__DRAIN_NOTICE: '0s', LTM__GATEWAY__DRAIN_TIME: '100ms' });
  proxy = await Proxy.start(services.url);
  producer = new Producer(services.url);
});
after(async () => {
  await proxy.stop();
  await services.stop();
});

const fqn = 'app.Agent';
const backoff = { min: 0, max: 0 };
const agentOf = (threadId, more = {}) => new LtmAgent({ url: proxy.url, fqn, threadId, backoff, ...more });
const thread = (key, state = {}) => producer.create({ fqn, key, state: { _status: 'active', _run: {}, _messages: [], ...state } });
const write = async (key, some) => {
  for (const [item, patch] of some) await producer.append({ fqn, key }, { reason: 'agui', item, patch });
};
/** Messages without the empty content that clients add. */
const plain = (agent) => agent.messages.map(({ content, toolCalls, ...message }) => ({ ...message, ...(content && { content }), ...(toolCalls && { toolCalls }) }));

test('wherever the connection is lost, the agent gets each event of the run once', async () => {
  const { cursor } = await thread('cut');
  // An event and a change of the state in one entry: neither may be lost, or come twice.
  const both = [{ type: 'CUSTOM', name: 'count', value: 1 }, [{ op: 'add', path: '/plan/-', value: 'count' }]];
  const all = events();
  all.splice(-1, 0, both);
  await write('cut', all);
  const read = async () => {
    const agent = agentOf('cut');
    const seen = [];
    agent.subscribe({ onEvent: ({ event }) => void seen.push(event.type) });
    await agent.runAgent({ forwardedProps: { ltm: { after: cursor } } });
    return { agent, seen };
  };
  const before = proxy.bytes;
  const undisturbed = await read();
  const length = proxy.bytes - before;
  assert.deepEqual(plain(undisturbed.agent), messages);
  for (let cut = 1; cut < length; cut += 97) {
    proxy.cutAfter(cut);
    const { agent, seen } = await read();
    assert.deepEqual([plain(agent), agent.state], [messages, undisturbed.agent.state], `cut after ${cut}: ${seen}`);
    assert.deepEqual(seen, undisturbed.seen, `cut after ${cut}`);
  }
});

test('wherever the connection is lost while the thread is read, a text that is open is complete', async () => {
  await thread('open');
  // Without the end of the text, and of the run.
  await write('open', events().slice(0, 11));
  // The gateway sends the state last.
  const isThere = (agent) => agent.messages.length === 4 && agent.messages[3].content === 'It is ' && agent.state.plan;
  const before = proxy.bytes;
  const undisturbed = agentOf('open');
  const run = undisturbed.connectAgent();
  await until(() => isThere(undisturbed));
  undisturbed.abortRun();
  await run;
  const length = proxy.bytes - before;
  for (let cut = 200; cut < length; cut += 61) {
    proxy.cutAfter(cut);
    const agent = agentOf('open');
    const run = agent.connectAgent();
    await until(() => proxy.wasCut && isThere(agent));
    agent.abortRun();
    await run;
    assert.deepEqual([plain(agent), agent.state], [plain(undisturbed), undisturbed.state], `cut after ${cut}`);
  }
});

test('the agent reads on after the gateway restarts, and after it is killed', async () => {
  await thread('restart');
  const all = events();
  const agent = agentOf('restart');
  const run = agent.runAgent();
  await write('restart', all.slice(0, 5));
  await until(() => agent.messages.length === 2);
  await services.terminate();
  await services.run();
  await write('restart', all.slice(5, 11));
  await until(() => agent.messages.at(-1).content === 'It is ');
  await services.kill();
  await services.run();
  await write('restart', all.slice(11));
  await run;
  assert.deepEqual(plain(agent), messages);
  assert.deepEqual(agent.state, { plan: ['add', 'answer'] });
});

test('a connection without a sign of life counts as lost', async () => {
  await thread('silent');
  const all = events();
  const agent = agentOf('silent', { silence: 300 });
  const run = agent.runAgent();
  await until(() => agent.state && Object.keys(agent.state).length === 0 && proxy.pairs.size > 0 && agent.isRunning);
  await write('silent', all.slice(0, 3));
  await until(() => agent.state.plan);
  proxy.freeze();
  await write('silent', all.slice(3));
  await run;
  assert.deepEqual(plain(agent), messages);
});

test('an agent that connects reads the thread, and a thread that does not exist is empty', async () => {
  await thread('done');
  await write('done', events());
  const agent = agentOf('done');
  await agent.connectAgent();
  assert.deepEqual(plain(agent), messages);
  const copy = agent.clone();
  copy.threadId = 'none';
  copy.setMessages([]);
  await copy.connectAgent();
  assert.deepEqual(copy.messages, []);
  await fails(copy.runAgent(), { kind: 'unknown-ltm' });
});

test('an aborted run ends at once, and the agent keeps what it has', async () => {
  await thread('aborted', { n: 1 });
  const agent = agentOf('aborted');
  const run = agent.runAgent();
  await until(() => agent.state.n === 1);
  agent.abortRun();
  await run;
  assert.deepEqual(agent.state, { n: 1 });
  assert.equal(agent.isRunning, false);
});

test('the agent renews its token, and reports a problem that does not pass', async () => {
  const guarded = await Guarded.start();
  try {
    await guarded.producer.create({ fqn, key: 'x', state: { _status: 'finished', n: 1 } });
    const tokens = [guarded.token('*', 'read', -10), guarded.token('*', 'read', 60)];
    const agent = new LtmAgent({ url: guarded.url, fqn, threadId: 'x', token: () => tokens.shift(), backoff });
    await agent.connectAgent();
    assert.equal(agent.state.n, 1);
    const stranger = new LtmAgent({ url: guarded.url, fqn, threadId: 'x', headers: { Authorization: 'Bearer wrong' }, backoff });
    await fails(stranger.connectAgent(), { kind: 'unauthenticated' });
  } finally {
    await guarded.stop();
  }
});

test('the own token and headers replace those of a page, which a runtime forwards in lower case', async () => {
  const guarded = await Guarded.start();
  try {
    await guarded.producer.create({ fqn, key: 'x', state: { _status: 'finished', n: 1 } });
    const headers = { authorization: 'Bearer of the page', accept: 'application/json', 'content-type': 'text/plain', 'x-page': '1' };
    const sent = [];
    const fetcher = (url, init) => (sent.push(new Headers(init.headers)), fetch(url, init));
    const agent = new LtmAgent({ url: guarded.url, fqn, threadId: 'x', headers, token: guarded.admin, fetch: fetcher, backoff });
    await agent.connectAgent();
    assert.equal(agent.state.n, 1);
    // Whatever the gateway says: it is no recorder.
    await agent.runAgent().catch(() => {});
    await agent.stopRun().catch(() => {});
    const [read, run, stop] = sent.map((it) => Object.fromEntries(Object.keys(headers).map((name) => [name, it.get(name)])));
    const own = { authorization: `Bearer ${guarded.admin}`, 'x-page': '1' };
    assert.deepEqual(read, { ...own, accept: 'text/event-stream', 'content-type': 'text/plain' });
    assert.deepEqual(run, { ...own, accept: 'text/event-stream', 'content-type': 'application/json' });
    assert.deepEqual(stop, { ...own, accept: 'application/json', 'content-type': 'text/plain' });
  } finally {
    await guarded.stop();
  }
});

test('connections join to one run: what begins twice is dropped, and a snapshot ends what is open', () => {
  const start = { type: 'RUN_STARTED', threadId: 't', runId: 'r' };
  const text = { type: 'TEXT_MESSAGE_START', messageId: 'm', role: 'assistant' };
  const end = { type: 'TEXT_MESSAGE_END', messageId: 'm' };
  const [messages, state] = [{ type: 'MESSAGES_SNAPSHOT', messages: [] }, { type: 'STATE_SNAPSHOT', snapshot: {} }];
  const finished = { type: 'RUN_FINISHED', threadId: 't', runId: 'ltm-7' };
  const joined = new Joined();
  const next = (...events) => events.flatMap((event) => joined.next(JSON.stringify(event)));
  assert.deepEqual(next(start, text), [start, text]);
  joined.connected();
  assert.deepEqual(next(start, text), [], 'the next connection begins');
  assert.deepEqual(next(start, messages, text), [end, messages, text], 'one that begins with the whole state');
  joined.connected();
  assert.deepEqual(next(start, messages, text, state), [state], 'it was cut within the whole state');
  const other = { ...start, input: { messages: [{ id: 'q' }] } };
  assert.deepEqual(next(other), [undefined], 'another run has begun: its messages are unknown');
  assert.deepEqual(next(finished), [end, { ...finished, runId: 'r' }]);
  assert.ok(joined.ended);
});

test('each subagent has its own steps, and a snapshot ends only messages', () => {
  const start = { type: 'RUN_STARTED', threadId: 't', runId: 'r' };
  const step = (type, owner) => ({ type, stepName: 'tools', ...(owner && { subagentRunId: owner }) });
  const subagent = { type: 'SUBAGENT_STARTED', subagentRunId: 'a', name: 'a' };
  const text = { type: 'TEXT_MESSAGE_START', messageId: 'm', subagentRunId: 'a' };
  const messages = { type: 'MESSAGES_SNAPSHOT', messages: [] };
  const joined = new Joined();
  const next = (...events) => events.flatMap((event) => joined.next(JSON.stringify(event)));
  const begun = [start, step('STEP_STARTED'), subagent, step('STEP_STARTED', 'a'), text];
  assert.deepEqual(next(...begun), begun);
  joined.connected();
  const end = { type: 'TEXT_MESSAGE_END', messageId: 'm', subagentRunId: 'a' };
  assert.deepEqual(next(start, messages, text), [end, messages, text], 'the step and the subagent go on');
  // The gateway begins again what an event ends that it has not begun.
  const ended = [step('STEP_FINISHED', 'a'), { type: 'SUBAGENT_FINISHED', subagentRunId: 'a' }];
  assert.deepEqual(next(step('STEP_STARTED', 'a'), ended[0], subagent, ended[1]), ended);
  const finished = { ...start, type: 'RUN_FINISHED' };
  assert.deepEqual(next(finished), [end, step('STEP_FINISHED'), finished], 'the step of the parent is still open');
});

test('the next connection repeats the events since the cursor, and the client gets each once', () => {
  const [one, two, three] = [1, 2, 3].map((value) => JSON.stringify({ type: 'CUSTOM', name: 'n', value }));
  const joined = new Joined('1-0');
  for (const data of [one, two]) assert.equal(joined.next(data).length, 1);
  assert.equal(joined.after, '1-0');
  joined.connected();
  assert.deepEqual([one, two].flatMap((data) => joined.next(data)), []);
  assert.equal(joined.next(three, '2-0').length, 1);
  assert.equal(joined.after, '2-0');
  // A whole state ends with its cursor: a client that is cut before gets it again.
  joined.next(JSON.stringify({ type: 'MESSAGES_SNAPSHOT', messages: [] }));
  joined.next(JSON.stringify({ type: 'TEXT_MESSAGE_START', messageId: 'm', role: 'assistant' }));
  assert.equal(joined.after, '2-0');
  joined.next(JSON.stringify({ type: 'STATE_SNAPSHOT', snapshot: {} }), '3-0');
  assert.equal(joined.after, '3-0');
  joined.next(one, '4-0');
  assert.equal(joined.after, '4-0');
  joined.next(one);
  joined.connected();
  assert.equal(joined.next(two), undefined, 'it is not what came before');
  assert.equal(joined.after, undefined);
});

/** AG-UI's client writes errors to the console, too. */
async function fails(run, problem) {
  const { error } = console;
  console.error = () => {};
  await assert.rejects(run, problem).finally(() => (console.error = error));
}
