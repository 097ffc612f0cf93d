// Shows an AsyncAPI document: its channels with parameters and messages, and the schemas.
import { article, example, folded, make, paragraphs, prose, resolved, table } from './elements.js';
import { content, schemas, type } from './schemas.js';

function parameters(api, channel) {
  const query = Object.entries(channel.bindings?.ws?.query?.properties ?? {});
  return query.length ? [make('h4', 'Parameters'), table(['name', 'type', 'description'], query.map(([name, it]) => [make('code', name), type(api, it), prose('span', it.description)]))] : [];
}

/** How to look at a channel from a shell or a console. */
function command({ address }) {
  const url = new URL(address.slice(1), document.baseURI).href.replaceAll(/%7Bid%7D/g, '1');
  if (address.startsWith('/ws')) return `new WebSocket('${url.replace('http', 'ws')}${address === '/ws' ? '' : '?init=state&live=1'}').onmessage = ({ data }) => console.log(data)`;
  return `curl -sS -N${address.startsWith('/agui') ? ' -X POST' : ''} '${url}${address.startsWith('/agui') ? '' : '?init=state&live=1'}'`;
}

function message(api, [key, reference]) {
  const { title, payload, examples = [] } = resolved(api, reference);
  return folded([make('code', key), ' ', title], examples.map((it) => example('Example', it.payload)), content(api, payload));
}

function channel(api, name) {
  const it = api.channels[name];
  return article(
    `channel-${name}`, it.title, make('code', it.address), prose('p', it.title), paragraphs(it.description), it['x-by-key'] ? make('p', 'By class and key: ', make('code', it['x-by-key'])) : [],
    example(it.address.startsWith('/ws') ? 'In JavaScript' : 'Request', command(it)), parameters(api, it), make('h4', 'Messages'), Object.entries(it.messages).map((one) => message(api, one)),
  );
}

function closes(codes) {
  const rows = codes.map(({ code, meaning, advice }) => [make('code', String(code)), prose('span', meaning), prose('span', advice)]);
  return article('close-codes', 'Close codes', 'Close codes', table(['close code', 'meaning', 'what the client does'], rows));
}

/** Shows the AsyncAPI document `api` in the element `place`. */
export function show(api, place) {
  const codes = Object.values(api.channels).map((it) => it['x-close-codes']).find(Boolean);
  place.replaceChildren(make('h2', 'WebSocket and Server-Sent Events'), ...paragraphs(api.info.description), ...Object.keys(api.channels).map((name) => channel(api, name)), closes(codes), make('h2', 'Schemas of the messages'), ...schemas(api));
}
