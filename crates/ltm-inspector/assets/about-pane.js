// What an LTM is: its class, dates, parameters and structure.

import { copyButton } from './clipboard.js';
import { h } from './dom.js';
import { pretty } from './json.js';
import { fullTime } from './time.js';

export class AboutPane {
  constructor() {
    this.element = h('div', { class: 'scroll about', tabindex: '0', role: 'region', 'aria-label': 'About' });
  }

  update({ view, first }) {
    const key = [view.cursor, view.structure === this.structure, view.concurrent_instances === this.instances].join();
    if (key === this.key) return;
    Object.assign(this, { key, structure: view.structure, instances: view.concurrent_instances });
    const fact = (name, ...value) => [h('dt', {}, name), h('dd', {}, ...value)];
    const code = (text) => h('code', {}, String(text));
    const json = (title, value) => h('details', { open: value !== view.structure }, h('summary', {}, title), h('pre', {}, pretty(value)));
    const isEmpty = (value) => value === null || value === undefined || Object.keys(value).length === 0;
    this.element.replaceChildren(
      h('dl', { class: 'facts' },
        fact('Name', String(view.name ?? '')), fact('Class', code(view.fqn ?? '')), fact('Id', code(view.id)),
        view.source_id === undefined || view.source_id === null ? null : fact('Copy of', h('a', { href: `#/ltm/${view.source_id}` }, `LTM ${view.source_id}`)),
        fact('Created', fullTime(view.created_at)), fact('Last change', fullTime(view.updated_at)),
        fact('Snapshots', Number(view.snapshotsCount).toLocaleString('en'), first > 0 ? ` (before ${first} they are not kept)` : ''),
        fact('Cursor', code(view.cursor ?? '–'), ' ', copyButton('Copy', () => String(view.cursor), 'Cursor'))),
      isEmpty(view.params) ? '' : json('Parameters', view.params),
      isEmpty(view.concurrent_instances) ? '' : json('Concurrent instances', view.concurrent_instances),
      json('Structure', view.structure ?? null));
  }
}
