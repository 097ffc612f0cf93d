// Shows the documents of both interfaces: the HTTP API and the channels.
import { show as showCalls } from './calls.js';
import { show as showChannels } from './channels.js';
import { search } from './search.js';
import { themes, tokens } from './storage.js';

const at = (id) => document.getElementById(id);
const fetched = async (name) => (await fetch(new URL(`docs/${name}`, document.baseURI))).json();

themes(at('theme'));
try {
  const [openapi, asyncapi] = await Promise.all([fetched('openapi.json'), fetched('asyncapi.json')]);
  showCalls(openapi, at('http'));
  showChannels(asyncapi, at('channels'));
} catch (error) {
  at('failed').textContent = `The documents were not loaded: ${error.message}. Reload the page.`;
  at('failed').hidden = false;
  throw error;
}
search(document.querySelector('main'), at('search'), at('contents'), at('found'));
tokens(at('credential'), at('token'), () => {
  // The commands name a token only if there is one.
  for (const form of document.querySelectorAll('article form')) form.dispatchEvent(new Event('input'));
});
// What the address names is there only now.
if (location.hash) at(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();

// `api.inspector` may be off.
at('inspector').hidden = !(await fetch(at('inspector').href, { method: 'HEAD' }).then(({ ok }) => ok, () => false));
document.body.dataset.ready = 'yes';
