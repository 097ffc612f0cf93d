// One LTM: its panes, and the snapshot that they show.

import { ORIGIN } from '../wire/api.js';
import { h, setAttribute } from '../elements/dom.js';
import { MachinePane } from '../graph/graph.js';
import { Ends } from './ends.js';
import { LtmHead } from './ltm-head.js';
import { errorNotice, notice, skeleton } from '../elements/notice.js';
import { lastList, ltmLink, replace } from '../app/router.js';
import { keep, kept } from '../wire/storage.js';
import { onToken, refused, token } from '../wire/session.js';
import { splitter } from '../elements/splitter.js';
import { Tabs } from '../elements/tabs.js';
import { Timeline } from './timeline.js';
import { toast } from '../elements/toast.js';
import { Transport } from './transport.js';
import { Travel } from './travel.js';
import { NAMES, views } from './views.js';
import { ExactSocket, ExactSource, exactFetch, onMissingGateway } from '../wire/wire.js';
import { followLtm } from 'ltm-live';

const PLACES = [['steps', 'Steps'], ['machine', 'Machine'], ['details', 'Details']];
/** Kept once the hint about machines was closed. */
const HINT = 'ltm-no-machine';

export class LtmView {
  #leaving = new AbortController();
  #frame = 0;
  #isStale = false;
  /** The panes that still show the model before. */
  #due = [];
  /** Whether the open pane asked to draw more of the same model. */
  #wantsMore = false;

  constructor({ id, parameters, shell, askToken }) {
    Object.assign(this, { id, shell, askToken });
    const at = parameters.get('at');
    this.compared = parameters.get('with');
    this.conversation = parameters.get('list');
    this.tab = NAMES.includes(parameters.get('tab')) ? parameters.get('tab') : 'state';
    this.travel = new Travel(at !== null && /^\d{1,15}$/.test(at) ? Number(at) : null, () => this.#schedule());
    this.#build(parameters);
    shell.crumbs([{ label: `LTM ${id}` }]);
    document.title = `LTM ${id} – LTM inspector`;
    onToken(() => this.#follow(), this.#leaving.signal);
    this.#follow();
  }

  destroy() {
    this.#leaving.abort();
    this.handle?.close();
    this.transport.destroy();
    this.head.destroy();
    this.travel.destroy();
    cancelAnimationFrame(this.#frame);
  }

  help() {
    return [
      ['J, K', 'Next, previous snapshot'], ['Home, End', 'First, last snapshot'], ['Space', 'Play, pause'], ['L', 'Follow new snapshots'],
      ['1 – 9', 'The tabs, from left to right'], ['/', 'Search in the state'], ['C', 'Open what the step changed'],
      ['+, −, F', 'Zoom the machine, show all of it'], ['Y', 'Copy the link to this snapshot'], ['U', 'Back to the list'],
    ];
  }

  key(key) {
    if (!this.model) return key === 'u' && ((location.hash = lastList()), true);
    const acts = {
      j: () => this.transport.go(1), k: () => this.transport.go(-1), ArrowRight: () => this.transport.go(1), ArrowLeft: () => this.transport.go(-1),
      Home: () => this.transport.go(-Infinity), End: () => this.transport.go(Infinity), ' ': () => this.transport.toggle(), l: () => this.pick(null),
      '/': () => {
        this.#show('state');
        this.panes.state.focusSearch();
      },
      c: () => {
        this.#show('state');
        this.panes.state.showChanges();
      },
      '+': () => this.machine.zoom(1.25), '=': () => this.machine.zoom(1.25), '-': () => this.machine.zoom(0.8), f: () => this.machine.fit(),
      y: () => this.head.copyLink(), u: () => (location.hash = lastList()),
    };
    const tab = /^[1-9]$/.test(key) ? this.tabs.offered()[key - 1] : undefined;
    if (tab) this.#show(tab.name);
    else acts[key]?.();
    return tab !== undefined || key in acts;
  }

  /** Goes to a snapshot; null: to the live end. */
  pick(index) {
    this.travel.go(index);
    if (index === null && this.model?.live) this.timeline.show();
    this.#schedule();
  }

  #build(parameters) {
    const pick = (index) => this.pick(index);
    const reveal = (pointer) => {
      this.#show('state');
      this.panes.state.reveal(pointer);
    };
    this.head = new LtmHead({ id: this.id, link: () => this.#link() });
    this.ends = new Ends({ reveal, errors: () => this.#show('errors') });
    this.timeline = new Timeline({ onPick: pick, onMore: () => this.#due.unshift(this.timeline) });
    this.machine = new MachinePane({ onPick: reveal });
    this.transport = new Transport({ onPick: pick });
    const compare = (other) => {
      this.compared = other;
      this.#schedule();
    };
    const converse = (pointer) => {
      this.conversation = pointer;
      this.#schedule();
    };
    const drawMore = () => {
      this.#wantsMore = true;
      this.#draw();
    };
    const tabs = views({ pick, reveal, compare, converse, drawMore });
    this.panes = Object.fromEntries(tabs.map(({ name, pane }) => [name, pane]));
    this.tabs = new Tabs(tabs, { label: 'Details', onChange: (name) => this.#show(name) });
    this.tabs.show(this.tab);
    this.places = PLACES.map(([place, label]) => h('button', { onclick: () => this.#place(place) }, label));
    this.body = h('div', { class: 'ltm-body' });
    this.body.append(
      this.timeline.element, splitter(this.body, 'timeline-width', { label: 'Width of the timeline', side: 'left', least: 200, most: 700, usual: 290 }),
      this.machine.element, splitter(this.body, 'details-width', { label: 'Width of the details', side: 'right', least: 300, most: 1100, usual: 440 }), this.tabs.element);
    this.banner = h('div', { class: 'banner', role: 'status', hidden: true });
    this.hint = noMachine(() => keep('browser', HINT, 'seen'));
    this.ready = [h('div', { class: 'ltm-top' }, this.head.element, this.ends.element), this.banner, h('div', { class: 'places segments', role: 'group', 'aria-label': 'What to show' }, this.places), this.body, this.transport.element];
    this.tabs.element.append(this.hint);
    this.element = h('main', { class: 'ltm-view' }, skeleton(8));
    // A link to a tab shows the tab.
    this.#place(parameters.has('tab') ? 'details' : 'machine');
  }

  /** Chooses the one pane that a small screen shows. */
  #place(place) {
    setAttribute(this.element, 'data-place', place);
    this.places.forEach((button, i) => setAttribute(button, 'aria-pressed', String(PLACES[i][0] === place)));
    if (this.model) this.#update();
    if (place === 'steps') this.timeline.show();
  }

  #show(name) {
    this.tab = name;
    this.tabs.show(name);
    this.#place('details');
    if (this.model) {
      this.panes[name].update(this.model);
      this.#due = this.#due.filter((pane) => pane !== this.panes[name]);
    }
    this.#address();
  }

  #link() {
    const at = this.travel.pinned;
    return ltmLink(this.id, { at, tab: this.tab === 'state' ? null : this.tab, with: this.tab === 'compare' ? this.compared : null, list: this.tab === 'messages' ? this.conversation : null });
  }

  #address() {
    replace(this.#link());
  }

  #follow() {
    this.handle?.close();
    const handle = followLtm(ORIGIN.href, this.id, { token: token() ?? undefined, fetch: exactFetch, WebSocket: ExactSocket, EventSource: ExactSource });
    this.handle = handle;
    onMissingGateway((error) => handle === this.handle && ((this.missing = error), this.#schedule()));
    handle.subscribe(() => handle === this.handle && this.#schedule());
    this.#schedule();
  }

  #schedule() {
    this.#isStale = true;
    this.#draw();
  }

  /** Draws the page however fast snapshots arrive, one part per frame: all at once would take a slow CPU too long. */
  #draw() {
    if (this.#leaving.signal.aborted) return;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#due.length > 0) this.#due.shift().update(this.model);
      else if (this.#isStale) this.#update();
      else this.#drawMore();
      const drawn = !this.#isStale && !this.#wantsMore && this.#due.length === 0;
      setAttribute(this.element, 'data-drawn', String(drawn));
      if (!drawn) this.#draw();
    });
  }

  /** A newer model goes first: a pane that has much to draw must not hold up the page. */
  #drawMore() {
    this.#wantsMore = false;
    this.panes[this.tab].update(this.model);
  }

  #update() {
    this.#isStale = false;
    this.#wantsMore = false;
    this.#due = [];
    setAttribute(this.element, 'aria-busy', 'false');
    const { view } = this.handle;
    if (view.status === 'live') this.missing = null;
    this.shell.connection(this.missing ? 'failed' : view.status, this.missing ?? view.error);
    if (view.status === 'failed' || (view.status === 'deleted' && view.cursor === null)) {
      this.#fail(view);
      return;
    }
    if (view.status === 'live') this.asked = false;
    if (view.cursor === null) {
      if (view.error) this.#say(errorNotice(view.error));
      return;
    }
    if (this.element.firstChild !== this.ready[0]) this.element.replaceChildren(...this.ready);
    const kept = this.travel.update(view);
    if (!kept) toast('Rolled back: the snapshot that you were viewing is no longer in the history');
    const model = { ...this.travel.model(), compared: this.compared, conversation: this.conversation };
    this.model = model;
    setAttribute(this.element, 'aria-busy', String(model.busy));
    this.#room(view);
    this.#announce(model);
    this.head.update(model);
    this.ends.update(model);
    this.transport.update(model);
    this.tabs.offer(model);
    this.tabs.number('changes', model.snapshot?.patch.length ?? 0);
    this.tabs.number('errors', view.errors.length, view.errors.some((error) => !error.success) ? 'bad' : null);
    this.tabs.number('rollbacks', view.firstRollback + view.rollbacks.length);
    this.#address();
    // What shows the state follows when the state has been folded.
    this.#due = model.busy ? [this.timeline] : [this.timeline, this.machine, this.panes[this.tab]];
    this.#draw();
  }

  /** Gives the room of the machine to the state if there is none to draw. */
  #room(view) {
    const none = !view.structure?.ltms?.length;
    setAttribute(this.element, 'data-machine', none ? 'none' : null);
    this.places[1].hidden = none;
    this.hint.hidden = !none || kept('browser', HINT) !== null;
    if (none && this.element.dataset.place === 'machine') this.#place('details');
  }

  #announce({ view, error }) {
    const text = error ? `The page cannot show this snapshot: ${error.message}`
      : this.missing ? `${this.missing.title}: ${this.missing.detail}`
      : view.status === 'deleted' ? 'This LTM was deleted. The page shows the last data that it received.'
        : view.status === 'reconnecting' ? 'The connection is lost. The data may be out of date. The page reconnects by itself.' : '';
    this.banner.hidden = text === '';
    setAttribute(this.banner, 'data-kind', view.status);
    if (this.banner.textContent !== text) this.banner.textContent = text;
  }

  #fail(view) {
    const back = h('a', { class: 'button quiet', href: lastList() }, 'All LTMs');
    const error = view.error;
    if (error?.status === 401 && !this.asked) {
      this.asked = true;
      refused();
    }
    const noEntry = [401, 403].includes(error?.status);
    const element = view.status === 'deleted'
      ? notice('This LTM was deleted', 'Its history is gone. Its id is never assigned again.', back)
      : errorNotice(error, noEntry ? h('button', { class: 'primary', onclick: this.askToken }, 'Enter a token') : h('button', { class: 'primary', onclick: () => this.#follow() }, 'Try again'), back);
    this.#say(element);
  }

  /** Shows a notice in place of all panes. */
  #say(element) {
    this.element.replaceChildren(h('h1', { class: 'visually-hidden' }, `LTM ${this.id}`), element);
  }
}

/** Says how a machine comes into the picture. */
function noMachine(onClose) {
  const close = h('button', { class: 'quiet', onclick: () => {
    onClose();
    element.hidden = true;
  } }, 'Got it');
  const element = h('p', { class: 'hint no-machine', hidden: true },
    h('span', {}, 'This LTM has no machine to draw. An engine sends it as ', h('code', {}, 'structure'), ' when it creates the LTM: docs/formats.md says how.'), close);
  return element;
}
