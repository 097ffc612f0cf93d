'use client';

import type { ListPage, LtmDocument } from 'ltm-live';
import { useLtm, useLtmList } from 'ltm-live/react';
import type { Agent } from '../../agent';

interface Props {
  url: string;
  id: string;
  initial: LtmDocument<Agent>;
  page: ListPage;
}

export function AgentView({ url, id, initial, page }: Props) {
  const { status, state } = useLtm<Agent>(url, id, { initial });
  const { rows } = useLtmList(url, { limit: 20 }, { initial: page });
  return <p id="app">{state ? `${status} ${state.todo.join()} ${state.n} of ${rows?.length}` : 'nothing yet'}</p>;
}
