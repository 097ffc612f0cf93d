// A run as LangGraph has it: a chat of questions, tool calls and streamed answers.

const GRAPH = {
  name: 'agent', fqn: 'agent', init: ['model'], ltms: [{ name: 'model', fqn: 'agent.model' }, { name: 'tools', fqn: 'agent.tools' }],
  transitions: [{ from: 'model', to: 'tools', label: 'tool_calls', namespace: 'agent' }, { from: 'tools', to: 'model', label: 'results', namespace: 'agent' }],
};

/** An answer in Markdown, in pieces as a model streams it. */
export function tokens(turn) {
  const text = `## Harbour ${turn}\n\nThe light was **lit by hand** until 19${10 + (turn % 80)}; see [the archive](https://archive.example/${turn}).\n\n- oil lamps\n- gas, from the \`works\`\n\n| year | lamps |\n| ---: | :--- |\n| 18${10 + (turn % 80)} | ${turn} |\n\n\`\`\`python\nlight(${turn})\n\`\`\`\n`;
  return text.match(/[\s\S]{1,7}/g);
}

/** The messages of one turn: a question, a call, its result, and an answer. */
export function turn(n, answer = tokens(n).join('')) {
  return [
    { type: 'human', content: `How was harbour ${n} lit?`, id: `h${n}` },
    { type: 'ai', content: '', id: `c${n}`, tool_calls: [{ name: 'web_search', args: { query: `harbour ${n}`, limit: 5 }, id: `call-${n}`, type: 'tool_call' }] },
    { type: 'tool', content: JSON.stringify({ hits: [`page ${n}`] }), name: 'web_search', tool_call_id: `call-${n}`, id: `t${n}`, status: n % 25 === 24 ? 'error' : 'success' },
    { type: 'ai', content: answer, id: `a${n}`, usage_metadata: { total_tokens: 100 + n } },
  ];
}

/** Makes a chat with so many turns; gives its id. */
export async function chat(service, turns) {
  const { id } = await service.post('ltm', { fqn: 'app.chat.Agent', name: 'harbour chat', structure: GRAPH, state: { _status: 'active', messages: [] } });
  for (let n = 0; n < turns; n += 25) {
    const snapshots = Array.from({ length: Math.min(25, turns - n) }, (_, i) => turn(n + i).map((message, at) => ({
      reason: 'execute', item: { fqn: at % 2 ? 'agent.model' : 'agent.tools' }, patch: [{ op: 'add', path: '/messages/-', value: message }],
    }))).flat();
    await service.post(`ltm/${id}/snapshots`, { snapshots });
  }
  return id;
}

/** Streams an answer at the end of the chat, a snapshot for each token. */
export async function stream(service, id, place, pieces) {
  const write = (patch) => service.post(`ltm/${id}/snapshots`, { reason: 'tokens', item: { fqn: 'agent.model' }, patch });
  await write([{ op: 'add', path: '/messages/-', value: { type: 'ai', id: 'streamed', content: { chunks: [] } } }]);
  for (const piece of pieces) await write([{ op: 'add', path: `/messages/${place}/content/chunks/-`, value: piece }]);
  await write([{ op: 'replace', path: `/messages/${place}/content`, value: pieces.join('') }]);
}
