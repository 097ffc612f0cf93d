// The head of an LTM's page: name, status and class; buttons that copy a link or a command.

import { address } from '../wire/api.js';
import { copy } from '../elements/clipboard.js';
import { curl } from '../wire/curl.js';
import { h, setAttribute, setText } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { menu } from '../elements/menu.js';
import { lastList } from '../app/router.js';
import { statusOf, toneOf } from '../data/status.js';
import { ago, fullTime } from '../data/time.js';

export class LtmHead {
  /** `link()` returns the link to the current view. */
  constructor({ id, link }) {
    this.link = link;
    this.name = h('h1', {});
    this.fqn = h('code', { class: 'fqn' });
    this.status = h('span', {});
    this.badge = h('span', { class: 'badge' }, h('i', { class: 'dot', 'aria-hidden': 'true' }), this.status);
    this.changed = h('span', { class: 'changed' });
    const call = (path) => () => copy(curl(address(path())), 'Command');
    this.element = h('header', { class: 'ltm-head' },
      h('a', { class: 'icon-button back', href: lastList(), 'aria-label': 'All LTMs', title: 'All LTMs (U)' }, icon('back')),
      this.name, this.badge, this.fqn, this.changed,
      h('div', { class: 'ltm-tools' },
        h('button', { class: 'quiet', title: 'Copy the link to this snapshot (Y)', 'aria-label': 'Copy link', onclick: () => this.copyLink() }, icon('link'), h('span', {}, 'Link')),
        menu('Copy as curl', [icon('terminal'), h('span', {}, 'curl'), icon('down')], [
          { label: 'This state', hint: 'GET /state?index=', act: call(() => `ltm/${id}/state?index=${this.index}`) },
          { label: 'This snapshot', hint: 'GET /snapshots?from=', act: call(() => `ltm/${id}/snapshots?from=${this.index}&limit=1`) },
          { label: 'The whole document', hint: 'GET /ltm/{id}', act: call(() => `ltm/${id}`) },
          { label: 'Follow in a terminal', hint: 'ltm tail', act: () => copy(`ltm --url '${location.origin}' tail ${id} --after ${this.cursor ?? 0}`, 'Command') },
        ])));
    this.ticking = setInterval(() => this.view && this.#age(), 5000);
  }

  update({ view, state, index }) {
    this.index = index;
    this.cursor = view.cursor;
    this.view = view;
    const status = statusOf(state ?? view.state);
    setText(this.name, String(view.name ?? `LTM ${view.id}`));
    setText(this.fqn, String(view.fqn ?? ''));
    setAttribute(this.badge, 'data-status', toneOf(status));
    setText(this.status, status ?? 'no status');
    this.#age();
  }

  destroy() {
    clearInterval(this.ticking);
  }

  copyLink() {
    copy(new URL(this.link(), location.href).href, 'Link');
  }

  #age() {
    setText(this.changed, `changed ${ago(this.view.updated_at)}`);
    setAttribute(this.changed, 'title', fullTime(this.view.updated_at));
  }
}
