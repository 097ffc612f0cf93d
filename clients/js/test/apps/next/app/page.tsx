import { Reader } from 'ltm-live';
import { AgentView } from './agent-view';
import type { Agent } from '../../agent';

// Each request shows the LTM of that time.
export const dynamic = 'force-dynamic';

export default async function Page({ searchParams }: { searchParams: Promise<{ id?: string; url?: string }> }) {
  const { id = '1', url = 'http://localhost:8000' } = await searchParams;
  const reader = new Reader(url);
  const [initial, page] = await Promise.all([reader.document<Agent>(id), reader.list({ limit: 20 })]);
  return <AgentView url={url} id={id} initial={initial} page={page} />;
}
