// The URL names the view, so that a link shows the same view to another person.
//
//   #/?q=story&fqn=app.Agent&status=active,error&since=24h&before=120&playground=1
//   #/ltm/42?at=5&tab=changes
//   #/ltm/42?tab=messages&list=/branches/0/messages

/** The view that the URL names. */
export function route() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?');
  const parameters = new URLSearchParams(query);
  const ltm = /^\/ltm\/(\d{1,20})$/.exec(path);
  return ltm ? { view: 'ltm', id: ltm[1], parameters } : { view: 'list', parameters };
}

function text(path, parameters) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  const query = new URLSearchParams(entries.map(([name, value]) => [name, value === true ? '1' : String(value)]));
  return entries.length ? `#${path}?${query}` : `#${path}`;
}

/** The link to an LTM. */
export function ltmLink(id, parameters = {}) {
  return text(`/ltm/${id}`, parameters);
}

/** The link to a list. */
export function listLink(parameters = {}) {
  return text('/', parameters);
}

/** Browsers reject URLs that change too often, for example while the user drags the slider. */
const PAUSE = 250;
let wanted = null;
let timer = 0;
let list = '#/';
/** The part of the URL that the view belongs to. The browser reports a change of the URL later than it makes it. */
let shown = location.hash;

/** Changes the URL after a short pause, without an entry in the browser's history. */
export function replace(link) {
  if (location.hash !== shown) return;
  if (route().view === 'list') list = link;
  wanted = link;
  timer ||= setTimeout(flush, PAUSE);
}

function flush() {
  timer = 0;
  if (location.hash !== shown || location.hash === wanted) return;
  history.replaceState(null, '', wanted);
  shown = location.hash;
}

/** The link to the list as the user last saw it. */
export function lastList() {
  return list;
}

/** Calls back when the URL names another view. */
export function onRoute(call) {
  window.addEventListener('hashchange', () => {
    clearTimeout(timer);
    timer = 0;
    shown = location.hash;
    call();
  });
}
