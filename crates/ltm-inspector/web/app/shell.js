// The bar at the top of every view: connection, theme, token and help.

import { h, setAttribute, setText } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { token } from '../wire/session.js';
import { nextTheme, theme } from './theme.js';
import { toasts } from '../elements/toast.js';

const CONNECTION = {
  connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', deleted: 'Deleted', failed: 'No connection', closed: 'Closed', missing: 'Not live',
};
/** The answers that are no lack of connection. */
const REFUSED = { 401: 'Token needed', 403: 'No access', 404: 'Not there', 410: 'Deleted' };

export class Shell {
  constructor({ askToken, showHelp }) {
    this.word = h('span', {});
    this.pill = h('span', { class: 'connection', role: 'status' }, h('i', { class: 'dot', 'aria-hidden': 'true' }), this.word);
    this.trail = h('ol', {});
    this.key = h('button', { class: 'icon-button', 'aria-label': 'Token', title: 'Token', onclick: askToken }, icon('key'));
    this.look = h('button', { class: 'icon-button', onclick: () => {
      nextTheme();
      this.#showTheme();
    } });
    const help = h('button', { class: 'icon-button', 'aria-label': 'Keys and help', title: 'Keys and help (?)', onclick: showHelp }, icon('help'));
    this.place = h('div', { class: 'view' });
    const bar = h('header', { class: 'top' },
      h('nav', { 'aria-label': 'Breadcrumb' }, h('a', { class: 'brand', href: '#/', 'aria-label': 'LTM inspector' }, h('img', { src: 'inspector/favicon.svg', alt: '', width: 22, height: 22 }), h('span', {}, 'LTM inspector')), this.trail),
      h('div', { class: 'top-tools' }, this.pill, this.key, this.look, help));
    document.body.append(bar, this.place, toasts());
    this.#showTheme();
    this.showToken();
  }

  /** Shows a view in place of the previous one. */
  show(view) {
    this.view?.destroy();
    this.view = view;
    this.place.replaceChildren(view.element);
  }

  crumbs(items) {
    this.trail.replaceChildren(...items.map(({ label }) => h('li', { 'aria-current': 'page' }, label)));
  }

  connection(status, error) {
    setAttribute(this.pill, 'data-connection', status);
    setAttribute(this.pill, 'title', error?.message);
    setText(this.word, (status === 'failed' && REFUSED[error?.status]) || (CONNECTION[status] ?? status));
  }

  showToken() {
    const label = token() ? 'Token: set for this tab' : 'Token: none';
    setAttribute(this.key, 'data-set', token() ? 'yes' : null);
    setAttribute(this.key, 'aria-label', label);
    setAttribute(this.key, 'title', label);
  }

  #showTheme() {
    const name = theme();
    this.look.replaceChildren(icon({ auto: 'auto', light: 'sun', dark: 'moon' }[name]));
    setAttribute(this.look, 'aria-label', `Theme: ${name}`);
    setAttribute(this.look, 'title', `Theme: ${name} (T)`);
  }
}
