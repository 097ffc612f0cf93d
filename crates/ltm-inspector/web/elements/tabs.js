// Panes behind tabs; one pane is visible.

import { h, setAttribute, setText } from './dom.js';

export class Tabs {
  #ids = `tabs-${Math.random().toString(36).slice(2, 8)}`;

  /** `tabs`: `[{ name, label, pane }]`, where `pane` has an `element`. */
  constructor(tabs, { label, onChange }) {
    this.tabs = tabs;
    this.onChange = onChange;
    for (const tab of tabs) {
      const [id, panel] = [`${this.#ids}-${tab.name}`, `${this.#ids}-${tab.name}-panel`];
      tab.count = h('span', { class: 'pill', hidden: true });
      tab.button = h('button', { role: 'tab', id, 'aria-controls': panel, 'data-tab': tab.name, onclick: () => this.onChange(tab.name) }, tab.label, tab.count);
      tab.panel = h('div', { role: 'tabpanel', id: panel, 'aria-labelledby': id, class: 'tabpanel' }, tab.pane.element);
    }
    this.bar = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label, onkeydown: (event) => this.#key(event) }, tabs.map((tab) => tab.button));
    this.element = h('section', { class: 'pane details', 'aria-label': label }, this.bar, tabs.map((tab) => tab.panel));
  }

  /** Shows a tab; an unknown name shows the first. */
  show(name) {
    const shown = this.tabs.find((tab) => tab.name === name) ?? this.tabs[0];
    this.shown = shown;
    for (const tab of this.tabs) {
      const on = tab === shown;
      setAttribute(tab.button, 'aria-selected', String(on));
      setAttribute(tab.button, 'tabindex', on ? '0' : '-1');
      tab.panel.hidden = !on;
    }
    return shown;
  }

  /** Shows a number at a tab, unless it is 0. */
  number(name, number, kind) {
    const { count } = this.tabs.find((tab) => tab.name === name);
    count.hidden = !number;
    setText(count, number > 999 ? '999+' : String(number));
    setAttribute(count, 'data-kind', kind);
  }

  #key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const place = (this.tabs.indexOf(this.shown) + by + this.tabs.length) % this.tabs.length;
    this.onChange(this.tabs[place].name);
    this.tabs[place].button.focus();
  }
}
