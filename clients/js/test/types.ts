// What the types allow, and what they do not: this has to compile.
import { applyPatch, followLtm, Problem, Producer, type Change, type Following, type View } from 'ltm-live';
import { useLtm } from 'ltm-live/react';
import { ltmStore } from 'ltm-live/svelte';
import { TextStream, textOf, type StreamedText } from 'ltm-live/text';
import Socket from 'ws';

interface Agent {
  todo: string[];
}

export async function stream(producer: Producer, content: StreamedText): Promise<string> {
  const out = new TextStream(producer, 1n, '/content', { every: 100, item: { task: 'answer' } });
  out.write('token');
  // @ts-expect-error: a text is text.
  out.write(1);
  return (await out.end()) + textOf(content);
}

export async function example(signal: AbortSignal): Promise<void> {
  const following: Following<Agent> = followLtm<Agent>('http://localhost:8000', 1n, {
    WebSocket: Socket,
    token: async () => 'token',
    backoff: { max: 1 },
    signal,
  });
  const first: string | undefined = following.view.state.todo[0];
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
  // @ts-expect-error: one of `patch`, `state` and `merge` is needed.
  await new Producer('http://localhost:8000').append(1, { reason: 'execute' });
  const patched: Agent = applyPatch<Agent>({ todo: [] }, [{ op: 'add', path: '/todo/-', value: 'x' }]);
  const error: Problem | undefined = following.view.error;
  const key = { fqn: 'app.Agent', key: '3f2c' };
  followLtm('http://localhost:8000', key).view.key satisfies string | null;
  new TextStream(new Producer(''), key, '/content');
  // @ts-expect-error: a key needs its class.
  followLtm('http://localhost:8000', { key: '3f2c' });
  const made: boolean = (await new Producer('').create({ ...key, id: 1n }, { reuse: true })).created;
  console.log(made, useLtm<Agent>('', key).id, ltmStore('', key));
  followLtm(new URL('http://localhost:8000'), 1, { WebSocket, EventSource, fetch });
  ltmStore<Agent>('', 1).subscribe((view) => console.log(view.state.todo, patched, error?.kind));
  console.log(useLtm<Agent>('', 1, { history: false }).state.todo);
}
