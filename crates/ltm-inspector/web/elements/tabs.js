// Panes behind tabs; one pane is visible.

import { h, setAttribute, setText } from './dom.js';

export class Tabs {
  #ids = `tabs-${Math.random().toString(36).slice(2, 8)}`;

  /** `tabs`: `[{ name, label, pane, offered }]`, where `pane` has an `element`. A tab that is not `offered` is hidden. */
  constructor(tabs, { label, onChange }) {
    this.tabs = tabs;
    this.onChange = onChange;
    for (const tab of tabs) {
      const [id, panel] = [`${this.#ids}-${tab.name}`, `${this.#ids}-${tab.name}-panel`];
      tab.count = h('span', { class: 'pill', hidden: true });
      tab.button = h('button', { role: 'tab', hidden: tab.offered !== undefined, id, 'aria-controls': panel, 'data-tab': tab.name, onclick: () => this.onChange(tab.name) }, tab.label, tab.count);
      tab.panel = h('div', { role: 'tabpanel', id: panel, 'aria-labelledby': id, class: 'tabpanel' }, tab.pane.element);
    }
    this.bar = h('div', { class: 'tabs', role: 'tablist', 'aria-label': label, onkeydown: (event) => this.#key(event) }, tabs.map((tab) => tab.button));
    this.element = h('section', { class: 'pane details', 'aria-label': label }, this.bar, tabs.map((tab) => tab.panel));
  }

  /** Hides the tabs that have nothing to show of the model. */
  offer(model) {
    for (const tab of this.tabs) if (tab.offered) tab.button.hidden = !tab.offered(model) && tab !== this.shown;
  }

  /** The tabs that are visible. */
  offered() {
    return this.tabs.filter((tab) => !tab.button.hidden);
  }

  /** Shows a tab; an unknown name shows the first. */
  show(name) {
    const shown = this.tabs.find((tab) => tab.name === name) ?? this.tabs[0];
    this.shown = shown;
    for (const tab of this.tabs) {
      const on = tab === shown;
      if (on) tab.button.hidden = false;
      setAttribute(tab.button, 'aria-selected', String(on));
      setAttribute(tab.button, 'tabindex', on ? '0' : '-1');
      tab.panel.hidden = !on;
    }
    // There may be more tabs than fit.
    shown.button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
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
    const tabs = this.offered();
    const last = tabs.length - 1;
    const now = tabs.indexOf(this.shown);
    const place = { ArrowRight: now === last ? 0 : now + 1, ArrowLeft: now === 0 ? last : now - 1, Home: 0, End: last }[event.key];
    if (place === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.onChange(tabs[place].name);
    tabs[place].button.focus();
  }
}
