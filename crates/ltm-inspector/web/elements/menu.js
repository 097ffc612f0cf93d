// A button that opens a menu.

import { h, setAttribute } from './dom.js';

/** `items`: `[{ label, hint, act }]`. */
export function menu(label, face, items) {
  const close = (back) => {
    if (list.hidden) return;
    list.hidden = true;
    setAttribute(button, 'aria-expanded', 'false');
    if (back) button.focus();
  };
  const open = () => {
    list.hidden = false;
    setAttribute(button, 'aria-expanded', 'true');
    entries[0].focus();
  };
  const button = h('button', { class: 'quiet', 'aria-haspopup': 'menu', 'aria-expanded': 'false', title: label, 'aria-label': label, onclick: () => (list.hidden ? open() : close(false)) }, face);
  const entries = items.map((item) => h('button', {
    role: 'menuitem', tabindex: '-1',
    onclick: () => {
      close(true);
      item.act();
    },
  }, h('span', {}, item.label), item.hint ? h('small', {}, item.hint) : null));
  const move = (by) => entries[(entries.indexOf(document.activeElement) + by + entries.length) % entries.length].focus();
  const onkeydown = (event) => {
    const act = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: () => close(true), Tab: () => close(false) }[event.key];
    if (!act) return;
    if (event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
    act();
  };
  const list = h('div', { class: 'menu', role: 'menu', 'aria-label': label, hidden: true, onkeydown }, entries);
  const element = h('div', { class: 'menu-holder' }, button, list);
  element.addEventListener('focusout', (event) => element.contains(event.relatedTarget) || close(false));
  return element;
}
