// LTMs to look at: an agent that researches, with nested and concurrent machines, an error and a rollback; and some others for the list.

const text = (words) => Array.from({ length: words }, (_, i) => ['lanterns', 'of', 'the', 'old', 'harbour', 'were', 'lit', 'by', 'hand', 'until', '1931'][i % 11]).join(' ');

/** A structure in short: children by name, transitions as `from label to`. */
function machine(fqn, { init, children = {}, transitions = [] }) {
  const name = fqn.split('.').at(-1);
  return {
    name, fqn, init,
    ltms: Object.entries(children).map(([child, inner]) => (inner ? machine(`${fqn}.${child}`, inner) : { name: child, fqn: `${fqn}.${child}` })),
    transitions: transitions.map((it) => {
      const [from, label, to] = it.split(' ');
      return { from, to, label, namespace: fqn, display_label: label };
    }),
  };
}

const RESEARCH = machine('research_agent', {
  init: ['plan'],
  children: {
    plan: null,
    'search_{topic}': { init: ['query'], children: { query: null, read: null, take_notes: null }, transitions: ['query found read', 'read noted take_notes', 'take_notes more query'] },
    write: { init: ['outline'], children: { outline: null, draft: null, polish: null }, transitions: ['outline write_draft draft', 'draft polish polish'] },
    review: null,
    publish: null,
  },
  transitions: ['plan search_{topic} search_{topic}', 'search_{topic} enough write', 'write ready review', 'review rework write', 'review approve publish'],
});

const TOPICS = ['lighthouses', 'harbours', 'ferries'];
const status = (path, value) => ({ op: 'replace', path: `${path}/_status`, value });

/** The steps of the agent: reason, item, patch, queues. */
function* research() {
  const ids = new Map();
  const item = (fqn, payload = null) => {
    if (!ids.has(fqn)) ids.set(fqn, crypto.randomUUID());
    return { item_id: ids.get(fqn), fqn, payload };
  };
  const execute = (fqn, patch, more = {}) => ({ reason: 'execute', item: item(fqn), patch, execute_queue: [], transitions_queue: [], ...more });
  const move = (label, namespace, patch, queued, params = null) => ({
    reason: 'transition', item: { item_id: crypto.randomUUID(), label, params, namespace, payload: null }, patch,
    execute_queue: queued.map((fqn) => item(fqn)), transitions_queue: [],
  });
  const root = 'research_agent';
  yield execute(root, [status('', 'active'), status('/plan', 'queued')], { execute_queue: [item(`${root}.plan`)] });
  yield execute(`${root}.plan`, [status('/plan', 'active'), { op: 'add', path: '/topics', value: TOPICS }, { op: 'replace', path: '/budget/tokens', value: 18_250 }]);
  const searches = TOPICS.map((topic) => `search_${topic}`);
  yield move('search_{topic}', root, [
    status('/plan', 'finished'),
    ...searches.map((name) => ({ op: 'add', path: `/${name}`, value: { _status: 'queued', query: { _status: 'init' }, read: { _status: 'init' }, take_notes: { _status: 'init' }, notes: [] } })),
  ], searches.map((name) => `${root}.${name}`), TOPICS.map((topic) => ({ topic })));
  for (const name of searches) {
    yield execute(`${root}.${name}`, [status(`/${name}`, 'active'), status(`/${name}/query`, 'queued')], { execute_queue: [item(`${root}.${name}.query`)] });
    yield execute(`${root}.${name}.query`, [status(`/${name}/query`, 'active'), { op: 'add', path: `/${name}/results`, value: 12 }]);
  }
  for (const name of searches.slice(0, 2)) {
    yield move('found', `${root}.${name}`, [status(`/${name}/query`, 'finished'), status(`/${name}/read`, 'queued')], [`${root}.${name}.read`]);
    yield execute(`${root}.${name}.read`, [status(`/${name}/read`, 'active'), { op: 'add', path: `/${name}/page`, value: text(30) }]);
    yield move('noted', `${root}.${name}`, [status(`/${name}/read`, 'finished'), status(`/${name}/take_notes`, 'queued')], [`${root}.${name}.take_notes`]);
    yield execute(`${root}.${name}.take_notes`, [status(`/${name}/take_notes`, 'active'), { op: 'add', path: `/${name}/notes/-`, value: { source: 'harbour archive', text: text(18) } }, { op: 'replace', path: '/budget/tokens', value: 14_100 }]);
  }
  yield { reason: 'execute', item: item(`${root}.search_ferries.read`), patch: [status('/search_ferries', 'error'), status('/search_ferries/read', 'error')], execute_queue: [], transitions_queue: [] };
  yield move('enough', root, [
    ...searches.slice(0, 2).map((name) => status(`/${name}`, 'finished')), ...searches.slice(0, 2).map((name) => status(`/${name}/take_notes`, 'finished')), status('/write', 'queued'),
  ], [`${root}.write`]);
  yield execute(`${root}.write`, [status('/write', 'active'), status('/write/outline', 'queued')], { execute_queue: [item(`${root}.write.outline`)] });
  yield execute(`${root}.write.outline`, [status('/write/outline', 'finished'), status('/write/draft', 'queued'), { op: 'add', path: '/write/sections', value: ['Light', 'Harbours', 'What was lost'] }], { execute_queue: [item(`${root}.write.draft`)] });
  for (let words = 8; words <= 40; words += 8) {
    yield { ...execute(`${root}.write.draft`, [{ op: words === 8 ? 'add' : 'replace', path: '/write/text', value: `The ${text(words)}` }, status('/write/draft', words === 40 ? 'queued' : 'active')]), item: { item_id: crypto.randomUUID(), fqn: `${root}.write.draft`, payload: null } };
  }
}

const START = {
  _status: 'queued', plan: { _status: 'init' }, write: { _status: 'init', outline: { _status: 'init' }, draft: { _status: 'init' }, polish: { _status: 'init' } },
  review: { _status: 'init' }, publish: { _status: 'init' }, question: 'How were harbours lit before electricity?', budget: { tokens: 20_000, seconds: 600 },
};

/** How long the steps of an agent take, one after the other, in milliseconds. */
const PACE = [4, 180, 2400, 35, 900, 12, 3100, 640].map((ms) => ms * 2.6);

/** Creates the agent, which has not begun; gives its id, and the calls that are its run: each writes one step. */
export async function agent(post) {
  let now = Date.now() - 95_000;
  const time = (n) => new Date((now += PACE[n % PACE.length])).toISOString();
  const { id } = await post('ltm', { time: time(0), fqn: 'app.research.Agent', name: 'harbour lights', structure: RESEARCH, state: START, params: { model: 'small', language: 'en' } });
  const write = (step, n) => () => post(`ltm/${id}/snapshots`, { ...step, time: time(n) });
  const error = (body) => () => post(`ltm/${id}/errors`, { id: crypto.randomUUID(), reason: 'execute', retrying: false, success: false, ...body });
  const steps = [...research()].map((step, n) => write(step, n));
  const timeout = (n) => ({ time: new Date(now + n * 3000).toISOString(), type: 'TimeoutError', description: 'the archive did not answer within 30 s', details: `Traceback (most recent call last):\n  File "agent/search.py", line 71, in read\nTimeoutError: attempt ${n}` });
  const run = [
    ...steps.slice(0, 12),
    () => post(`ltm/${id}/snapshots`, { reason: 'execute', item: { item_id: crypto.randomUUID(), fqn: 'research_agent.search_lighthouses.query' }, merge: { mood: 'lost' } }),
    () => post(`ltm/${id}/rollback`, { snapshot: { index: 12 } }),
    ...steps.slice(12),
    () => error({ item: { fqn: 'research_agent.search_ferries.read', payload: { page: 3 } }, retries: [1, 2].map(timeout) })(),
    error({ item: { fqn: 'research_agent.plan' }, success: true, retries: [{ time: new Date(now + 1000).toISOString(), type: 'RateLimited', description: 'too many requests; tried again after 1 s', details: 'RateLimited: 429' }] }),
  ];
  return { id, run };
}

const SOURCES = {
  'oil lamps harbours before 1880': ['Harbour board minutes, 1843: "twelve lamps of colza oil, trimmed at dusk"', 'The lamplighters of Leith, 1911'],
  'gas lighting docks 19th century': ['Port gazette, 1862: the gas works supply the north quay'],
};

/** A chat of an agent with tools; gives its id. */
export async function chat(post) {
  const { id } = await post('ltm', { fqn: 'app.chat.Agent', name: 'harbour chat', state: { _status: 'active', messages: [] } });
  const say = (name, message) => post(`ltm/${id}/snapshots`, { reason: 'execute', item: { fqn: `chat.${name}` }, patch: [{ op: 'add', path: '/messages/-', value: message }] });
  await say('start', { type: 'human', content: 'How were harbours lit before electricity?', id: 'h1' });
  for (const [n, [query, hits]] of Object.entries(SOURCES).entries()) {
    await say('model', { type: 'ai', content: n ? 'And after the oil lamps?' : 'Let me look at the records.', id: `a${n}`, tool_calls: [{ name: 'web_search', args: { query, limit: 5 }, id: `call-${n}` }] });
    await say('tools', { type: 'tool', name: 'web_search', tool_call_id: `call-${n}`, content: JSON.stringify({ hits }), id: `t${n}` });
  }
  const answer = '## Oil, then gas\n\nUntil about **1860** most quays had *oil lamps*, lit by hand at dusk.\n\n| years | light |\n| --- | --- |\n| to 1860 | colza oil |\n| to 1910 | gas, from the works |\n\nThe board counted its lamps each spring.';
  await say('model', { type: 'ai', content: answer, id: 'a9' });
  return id;
}

/** LTMs of other classes, for the list. */
export async function others(post) {
  for (const [fqn, name, _status] of [
    ['app.billing.InvoiceRun', 'invoices November', 'finished'], ['app.support.TicketTriage', 'ticket 4711', 'active'], ['app.support.TicketTriage', 'ticket 4712', 'queued'],
    ['app.research.Agent', 'tides and trade', 'error'], ['app.onboarding.Flow', 'welcome Ada', 'active'], ['app.billing.InvoiceRun', 'invoices October', 'finished'], ['app.import.Nightly', 'nightly import', 'init'],
  ]) {
    const { id } = await post('ltm', { fqn, name, state: { _status, n: 0 } });
    for (let n = 1; n < 3 + (name.length % 7); n += 1) await post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n } });
  }
}

/** Fills a service; gives the ids of the agent and of the chat. `post(path, body)` makes a call. */
export async function fill(post) {
  await others(post);
  const talk = await chat(post);
  const { id, run } = await agent(post);
  for (const step of run) await step();
  return { id, talk };
}
