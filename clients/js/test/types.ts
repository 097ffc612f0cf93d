// What the types allow, and what they do not: this has to compile.
import {
  applyPatch,
  followList,
  followLtm,
  followMany,
  Problem,
  Producer,
  Reader,
  type Change,
  type Cursor,
  type Following,
  type ListView,
  type LtmDocument,
  type LtmId,
  type Merge,
  type Operation,
  type Patch,
  type ProblemKind,
  type Step,
  type View,
} from 'ltm-live';
import { LtmAgent, LtmAgentRunner } from 'ltm-live/agui';
import { followLtm as coreFollow } from 'ltm-live/min';
import { useLtm, useLtmList, useLtms } from 'ltm-live/react';
import { ltmListStore, ltmsStore, ltmStore } from 'ltm-live/svelte';
import { TextStream, textOf, type StreamedText } from 'ltm-live/text';
import * as vue from 'ltm-live/vue';
import { ref } from 'vue';
import Socket from 'ws';

interface Message {
  role: 'user' | 'assistant';
  content: string;
}

interface Agent {
  todo: string[];
  messages: Message[];
  plan?: { goal: string };
}

const url = 'http://localhost:8000';

export async function stream(producer: Producer, content: StreamedText): Promise<string> {
  const item: Message = { role: 'user', content: 'x' };
  const out = new TextStream(producer, 1n, '/content', { every: 100, item });
  out.write('token');
  // @ts-expect-error: a text is text.
  out.write(1);
  return (await out.end()) + textOf(content);
}

/** The state is undefined until it is known. */
export function known(view: View<Agent>): string {
  // @ts-expect-error: nobody knows whether there is a state.
  const lie: Agent = view.state;
  // @ts-expect-error: this threw at the first render.
  console.log(lie, view.state.messages.length);
  if (view.status === 'live' || view.status === 'reconnecting') {
    return `${view.state.todo.join()} ${view.cursor.length}`;
  }
  if (view.state) {
    const cursor: Cursor = view.cursor;
    return `${view.state.messages.length} ${cursor} ${view.snapshots.length}`;
  }
  const nothing: undefined = view.state;
  const none: null = view.cursor;
  // @ts-expect-error: there are six statuses.
  if (view.status === 'online') return '';
  return String(nothing ?? none ?? view.error?.detail);
}

/** So is a list. */
export function rows(view: ListView): string {
  // @ts-expect-error: nobody knows whether there are rows.
  console.log(view.rows.length);
  const id: LtmId | undefined = view.status === 'live' ? view.rows[0]?.id : view.rows?.[0]?.id;
  // @ts-expect-error: an id is text, since a number cannot hold every id.
  const wrong: number | undefined = id;
  // @ts-expect-error: a list is not deleted.
  if (view.status === 'deleted') return '';
  return String(wrong);
}

export async function example(signal: AbortSignal): Promise<void> {
  const following: Following<Agent> = followLtm<Agent>(url, 1n, {
    WebSocket: Socket,
    token: async () => 'token',
    backoff: { max: 1 },
    signal,
  });
  const first: string | undefined = following.view.state?.todo[0];
  const end: () => void = following.subscribe((view: View<Agent>, change: Change) => {
    if (change.type === 'snapshot') {
      const index: number = change.index;
      console.log(index, view.snapshots[index]?.patch);
    }
  });
  for await (const change of following) {
    const type: 'document' | 'snapshot' | 'rollback' | 'reset' | 'error' | 'deleted' | 'status' = change.type;
    console.log(type, first);
  }
  end();
  // @ts-expect-error: a view is not to be changed.
  following.view.cursor = null;
  const patched: Agent = applyPatch<Agent>({ todo: [], messages: [] }, [{ op: 'add', path: '/todo/-', value: 'x' }]);
  const error: Problem | undefined = following.view.error;
  const key = { fqn: 'app.Agent', key: '3f2c' };
  followLtm(url, key).view.key satisfies string | null;
  new TextStream(new Producer(''), key, '/content');
  // @ts-expect-error: a key needs its class.
  followLtm(url, { key: '3f2c' });
  const made: boolean = (await new Producer('').create({ ...key, id: 1n }, { reuse: true })).created;
  console.log(made, useLtm<Agent>('', key).id, ltmStore('', key), followMany(url).follow(key));
  followLtm(new URL(url), 1, { WebSocket, EventSource, fetch });
  coreFollow(url, '1', { history: false }).close();
  ltmStore<Agent>('', 1).subscribe((view) => console.log(view.state?.todo, patched, error?.kind));
}

/** Interfaces are states, merges, items and values of patches, without an index signature. */
export async function write(producer: Producer, reader: Reader, agent: Agent, message: Message): Promise<void> {
  const { id, cursor } = await producer.create({ fqn: 'app.Agent', state: agent, params: message, id: '18446744073709551615' });
  await producer.create({ fqn: 'app.Agent', id: 42n, time: new Date() });
  await producer.append(id, { reason: 'execute', state: agent, item: message }, { ifMatch: cursor });
  await producer.append(1n, { reason: 'execute', merge: { todo: ['x'], plan: null } satisfies Merge<Agent> });
  await producer.append(1, { reason: 'execute', patch: [{ op: 'add', path: '/messages/-', value: message }] });
  await producer.appendAll('1', [{ reason: 'execute', state: agent }, { reason: 'execute', merge: { todo: [] } }]);
  const step: Step<Agent> = { reason: 'execute', state: agent };
  await producer.append(id, step);
  await producer.recordError(id, { reason: 'execute', item: message });
  const { state }: { state: Agent } = await reader.state<Agent>(id, { index: 3 });
  await reader.wait(id, { status: ['finished', 'error'], after: cursor, timeout: 1000 });
  // @ts-expect-error: one of `patch`, `state` and `merge` is needed.
  await producer.append(1, { reason: 'execute' });
  // @ts-expect-error: and only one.
  await producer.append(1, { reason: 'execute', state: agent, merge: {} });
  // @ts-expect-error: a word that nobody knows.
  await producer.append(1, { reason: 'execute', state: agent, itme: message });
  // @ts-expect-error: a function is not JSON.
  await producer.append(1, { reason: 'execute', state: { run: () => {} } });
  // @ts-expect-error: nor is a Map, at any depth.
  await producer.append(1, { reason: 'execute', merge: { deep: { seen: new Map<string, string>() } } });
  // @ts-expect-error: nor a bigint.
  await producer.append(1, { reason: 'execute', merge: { n: 1n } });
  // @ts-expect-error: a state is an object.
  await producer.append(1, { reason: 'execute', state: [1] });
  // @ts-expect-error: not a member of the state.
  await producer.append(1, { reason: 'execute', merge: { tood: [] } satisfies Merge<Agent> });
  // @ts-expect-error: an object is no id.
  await producer.append({}, step);
  console.log(state);
}

/** Operations and problem kinds are unions. */
export function unions(problem: Problem, patch: Patch): string[] {
  const kind: ProblemKind | '' = problem.kind;
  // @ts-expect-error: a typing error.
  if (kind === 'cursor-mismach') return [];
  if (kind === 'cursor-mismatch') console.log(problem.cursor);
  // @ts-expect-error: `add` needs a value.
  const add: Operation = { op: 'add', path: '/a' };
  // @ts-expect-error: `move` needs `from`.
  const move: Operation = { op: 'move', path: '/a' };
  // @ts-expect-error: `remove` has no value.
  const remove: Operation = { op: 'remove', path: '/a', value: 1 };
  console.log(add, move, remove);
  return patch.map((operation) => {
    switch (operation.op) {
      case 'add':
      case 'replace':
      case 'test':
        return JSON.stringify(operation.value);
      case 'move':
      case 'copy':
        return operation.from;
      case 'remove':
        return operation.path;
    }
  });
}

export async function everything(reader: Reader): Promise<void> {
  const initial: LtmDocument<Agent> = await reader.document<Agent>('1');
  const page = await reader.list({ status: ['active', 'error'], fqn: 'app.*', created_after: new Date(), has_errors: true, limit: 20 });
  for await (const row of reader.all({ name: 'har li' })) console.log(row.id, row.status, row.updated_at);
  const { total, status } = await reader.counts();
  const active: number | undefined = status['active'];
  const list = followList(url, { before: page.next ?? undefined }, { initial: page });
  for await (const change of list) if (change.type === 'change') console.log(change.rows, change.removed);
  const many = followMany(url, { history: false });
  const one: Following<Agent> = many.follow<Agent>(1, { initial });
  one.close();
  many.close();
  // @ts-expect-error: nobody knows this filter.
  followList(url, { stauts: 'error' });
  // @ts-expect-error: the document of another state.
  followLtm<{ other: number }>(url, 1, { initial });
  console.log(total, active, useLtm<Agent>('', 1, { history: false, initial }).state?.todo);
  console.log(useLtms<Agent>('', [1, 2n, '3']).map(({ state }) => state?.todo), useLtmList('', { limit: 20 }).rows?.length);
  ltmsStore<Agent>('', [1]).subscribe(([view]) => console.log(view?.state?.todo));
  ltmListStore('').subscribe(({ rows }) => console.log(rows?.length));
  console.log(vue.useLtm<Agent>(url, ref(1)).value.state?.todo, vue.useLtms<Agent>(url, () => [1, 2]).value[0]?.state?.todo);
  console.log(vue.useLtmList(url, ref({ limit: 20 })).value.rows?.length);
}

export async function agui(): Promise<void> {
  const agent = new LtmAgent({ url: new URL('http://localhost:8000'), fqn: 'app.Agent', threadId: 't', token: async () => 'x' });
  const stopped: boolean = await agent.clone().stopRun();
  agent.subscribe({ onEvent: ({ event }) => void event.type });
  // @ts-expect-error: an agent has a class.
  new LtmAgent({ url: 'http://localhost:8000' });
  const runner = new LtmAgentRunner({ url: 'http://localhost:8000', recorder: 'http://localhost:8010' });
  // @ts-expect-error: the recorder runs the agents.
  new LtmAgentRunner({ url: 'http://localhost:8000' });
  runner.connect({ threadId: 't', agentId: 'app.Agent' }).subscribe((event) => event.type);
  const running: boolean = stopped && (await runner.isRunning({ threadId: 't' }));
  void running;
}
