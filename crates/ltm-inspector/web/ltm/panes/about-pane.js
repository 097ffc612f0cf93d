// The class, dates, parameters and structure of an LTM.

import { jsonBlock } from '../../elements/block.js';
import { copyButton } from '../../elements/clipboard.js';
import { h } from '../../elements/dom.js';
import { fullTime } from '../../data/time.js';

export class AboutPane {
  constructor() {
    this.element = h('div', { class: 'scroll about', tabindex: '0', role: 'region', 'aria-label': 'About' });
  }

  update({ view, first }) {
    if (view.cursor === this.cursor && view.structure === this.structure) return;
    Object.assign(this, { cursor: view.cursor, structure: view.structure });
    const fact = (name, ...value) => [h('dt', {}, name), h('dd', {}, ...value)];
    const code = (text) => h('code', {}, String(text));
    const json = (title, value) => h('details', { open: value !== view.structure }, h('summary', {}, title), jsonBlock(value));
    const isEmpty = (value) => value === null || value === undefined || Object.keys(value).length === 0;
    this.element.replaceChildren(
      h('dl', { class: 'facts' },
        fact('Name', String(view.name ?? '')), fact('Class', code(view.fqn ?? '')), ...(view.key == null ? [] : [fact('Key', code(view.key))]), fact('Id', code(view.id)),
        fact('Created', fullTime(view.created_at)), fact('Last change', fullTime(view.updated_at)),
        fact('Snapshots', Number(view.snapshotsCount).toLocaleString('en'), first > 0 ? ` (retention removed those before ${first})` : ''),
        fact('Cursor', code(view.cursor ?? '–'), ' ', copyButton('Copy', () => String(view.cursor), 'Cursor'))),
      isEmpty(view.params) ? '' : json('Parameters', view.params),
      json('Structure', view.structure ?? null));
  }
}
