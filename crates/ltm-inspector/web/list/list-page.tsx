// What the list shows.

import type { Problem } from 'ltm-live';
import { count } from '../data/json.js';
import { Icon } from '../components/icon.js';
import { Notice, Skeleton } from '../components/notices.js';
import { FilterBar } from './filter-bar.js';
import { narrows, type Filter } from './filter.js';
import type { ListModel } from './list-model.js';
import { Rows } from './rows.js';

export interface ListActs {
  ask(wish: Partial<Filter>): void;
  clear(): void;
  open(text: string): void;
  older(): void;
  newest(): void;
  askToken(): void;
}

interface Props {
  model: ListModel;
  acts: ListActs;
}

export function ListPage({ model, acts }: Props) {
  const filter = model.filter.value;
  return (
    <>
      <div class="list-head">
        <h1>LTMs</h1>
        <div class="segments" role="group" aria-label="Runs or playground">
          {[false, true].map((playground) => (
            <button aria-pressed={filter.playground === playground} onClick={() => acts.ask({ playground, status: [], fqn: '' })}>{playground ? 'Playground' : 'Runs'}</button>
          ))}
        </div>
      </div>
      <FilterBar filter={filter} counts={model.counts.value} ask={acts.ask} open={acts.open} />
      <Missing model={model} />
      <div class="list-body"><Body model={model} acts={acts} /></div>
      <Foot model={model} acts={acts} />
    </>
  );
}

/** Says why nothing is live, if the address leads only to the API. */
function Missing({ model }: { model: ListModel }) {
  return (
    <div class="banner" role="status" hidden={!model.missing.value}>
      {model.missing.value && <>This address leads to an API without a gateway, so nothing here is live: the page asks the API every 15 seconds. Have a proxy send <code>/ws/</code> and <code>/sse/</code> to the gateway (docs/proxies.md), set <code>api.gateway_url</code>, or use <code>ltm dev</code>.</>}
    </div>
  );
}

function Body({ model, acts }: Props) {
  const { status, error, rows: answered, next } = model.view.value;
  const rows = model.rows.value;
  if (status === 'failed') return <Failed error={error} askToken={acts.askToken} />;
  if (rows === undefined) return status === 'reconnecting' && error ? <Failed error={error} askToken={acts.askToken} /> : <Skeleton lines={6} />;
  if (rows.length > 0) return <Rows rows={model.drawn.value ?? []} arrived={model.arrived.value} stale={answered === undefined} total={model.total.value} onFqn={(fqn) => acts.ask({ fqn })} />;
  if (answered === undefined) return <Skeleton lines={6} />;
  return <Nothing filter={model.filter.value} more={next !== null} acts={acts} />;
}

function Failed({ error, askToken }: { error: Problem | undefined; askToken(): void }) {
  const token = error?.status === 401 || error?.status === 403;
  return (
    <Notice title={error?.title || 'No answer from the service'} text={error?.detail ?? 'The page continues by itself when the service is back.'}>
      {token && <button class="primary" onClick={askToken}><Icon name="key" />Enter a token</button>}
    </Notice>
  );
}

function Nothing({ filter, more, acts }: { filter: Filter; more: boolean; acts: ListActs }) {
  if (more) {
    return <Notice title="None so far" text="None of the LTMs that were looked at matches; there are older ones."><button class="primary" onClick={acts.older}>Look further</button></Notice>;
  }
  if (filter.before) {
    return <Notice title="No older LTMs" text="This is the end of the list."><button class="quiet" onClick={() => acts.ask({})}>Go to the newest</button></Notice>;
  }
  if (narrows(filter)) {
    return <Notice title="Nothing matches" text={`No LTM ${filter.playground ? 'of the playground ' : ''}matches all of these filters.`}><button class="quiet" onClick={acts.clear}>Clear the filters</button></Notice>;
  }
  return <FirstSteps playground={filter.playground} />;
}

function FirstSteps({ playground }: { playground: boolean }) {
  const body = { fqn: 'app.Agent', ...(playground && { playground }), state: { todo: ['plan', 'write'] } };
  const example = `curl ${location.origin}/api/v0/ltm -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  return (
    <Notice title={playground ? 'The playground is empty' : 'No LTMs yet'} text="An LTM appears here as soon as an engine creates it. Try it:">
      <pre tabIndex={0}>{example}</pre>
    </Notice>
  );
}

function Foot({ model, acts }: Props) {
  const filter = model.filter.value;
  const { next } = model.view.value;
  const rows = model.rows.value ?? [];
  const total = model.total.value;
  const paged = Boolean(filter.before) || next !== null;
  const tally = total !== undefined && total >= rows.length ? `${paged ? `${rows.length} of ` : ''}${count(total, 'LTM')}` : `${count(rows.length, 'LTM')}${paged ? ' on this page' : ''}`;
  return (
    <div class="list-foot">
      <p class="tally" role="status">{model.rows.value && (rows.length || filter.before) ? tally : ''}</p>
      <div class="pages">
        <button class="quiet" disabled={!filter.before} onClick={acts.newest}><Icon name="left" />Newer</button>
        <button class="quiet" disabled={next === null} onClick={acts.older}>Older<Icon name="right" /></button>
      </div>
    </div>
  );
}
