// Shows the documents of both interfaces: the HTTP API and the channels.
import { show as showCalls } from './calls.js';
import { show as showChannels } from './channels.js';

const fetched = async (name) => (await fetch(new URL(`docs/${name}`, document.baseURI))).json();

showCalls(await fetched('openapi.json'), document.getElementById('http'));
showChannels(await fetched('asyncapi.json'), document.getElementById('channels'));

// `api.inspector` may be off.
const inspector = document.getElementById('inspector');
inspector.hidden = !(await fetch(inspector.href, { method: 'HEAD' }).then(({ ok }) => ok, () => false));
