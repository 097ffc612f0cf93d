// The rows of the list, one for each LTM. Rows are kept between updates, so that nothing flickers.

import { h, setAttribute, setText } from '../elements/dom.js';
import { ltmLink } from '../app/router.js';
import { ago, fullTime } from '../data/time.js';

export class ListRows {
  #rows = new Map();
  #chosen = null;

  /** Calls `onFqn` with the class that was clicked. */
  constructor({ onFqn }) {
    this.onFqn = onFqn;
    const head = ['Status', 'LTM', 'Class', 'Snapshots', 'Created', 'Last change'];
    this.body = h('tbody', {});
    this.element = h('table', { class: 'ltms' }, h('caption', { class: 'visually-hidden' }, 'LTMs, newest first'), h('thead', {}, h('tr', {}, head.map((name) => h('th', { scope: 'col' }, name)))), this.body);
  }

  show(items) {
    const first = this.#rows.size === 0;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let place = this.body.firstChild;
    for (const item of items) {
      let row = this.#rows.get(item.id);
      if (!row) {
        row = this.#make(item);
        this.#rows.set(item.id, row);
        if (!first) row.classList.add('new');
      }
      if (row !== place) this.body.insertBefore(row, place);
      else place = place.nextSibling;
      this.#fill(row, item);
    }
  }

  /** Updates the ages. */
  age() {
    for (const row of this.#rows.values()) this.#times(row);
  }

  /** Moves the focus through the links. */
  move(by) {
    const links = [...this.body.querySelectorAll('a.name')];
    if (links.length === 0) return;
    const at = links.findIndex((link) => link === document.activeElement);
    const from = at >= 0 ? at : links.findIndex((link) => link.href.endsWith(this.#chosen));
    const next = links[Math.min(links.length - 1, Math.max(0, from < 0 ? 0 : from + by))];
    this.#chosen = next.getAttribute('href');
    next.focus();
  }

  #make(item) {
    const parts = {
      dot: h('i', { class: 'dot', 'aria-hidden': 'true' }), status: h('span', {}),
      name: h('a', { class: 'name', href: ltmLink(item.id) }), id: h('span', { class: 'id' }, `#${item.id}`),
      fqn: h('button', { class: 'fqn', title: 'Show only this class', onclick: () => this.onFqn(item.fqn) }),
      count: h('td', { class: 'count', 'data-label': 'Snapshots' }), created: h('td', { class: 'when', 'data-label': 'Created' }), updated: h('td', { class: 'when', 'data-label': 'Last change' }),
    };
    parts.badge = h('span', { class: 'badge' }, parts.dot, parts.status);
    const open = (event) => {
      if (event.target.closest('a, button') || String(getSelection())) return;
      location.hash = ltmLink(item.id);
    };
    const row = h('tr', { onclick: open, 'data-id': item.id },
      h('td', { class: 'status' }, parts.badge), h('td', { class: 'names' }, parts.name, parts.id), h('td', { class: 'class' }, parts.fqn),
      parts.count, parts.created, parts.updated);
    row.parts = parts;
    return row;
  }

  #fill(row, item) {
    const { badge, status, name, fqn, count } = row.parts;
    const was = row.item;
    row.item = item;
    setAttribute(badge, 'data-status', item.status ?? 'none');
    setText(status, item.status ?? '–');
    setText(name, item.name);
    setText(fqn, item.fqn);
    setText(count, Number(item.snapshots_count).toLocaleString('en'));
    this.#times(row);
    if (was && was.snapshots_count !== item.snapshots_count) {
      count.classList.remove('moved');
      requestAnimationFrame(() => count.classList.add('moved'));
    }
  }

  #times(row) {
    const { created, updated } = row.parts;
    const { created_at: createdAt, updated_at: updatedAt } = row.item;
    for (const [cell, at] of [[created, createdAt], [updated, updatedAt]]) {
      setText(cell, ago(at));
      setAttribute(cell, 'title', fullTime(at));
    }
  }
}
