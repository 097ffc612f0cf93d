// The dialogs: the token, and the keys.

import { h } from './dom.js';
import { icon } from './icons.js';
import { keysAreOn, setKeysOn } from './keys.js';
import { setToken, token } from './session.js';

function dialog(title, ...content) {
  const id = `dialog-${title.replaceAll(/\W/g, '-')}`;
  const close = h('button', { class: 'icon-button', 'aria-label': 'Close', title: 'Close (Esc)', onclick: () => element.close() }, icon('close'));
  const element = h('dialog', { 'aria-labelledby': id }, h('div', { class: 'dialog-head' }, h('h2', { id }, title), close), content);
  element.addEventListener('close', () => element.remove());
  element.addEventListener('click', (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
  return element;
}

let asking = null;

/** Asks for the token; once, however often it is asked for. */
export function askToken({ refused = false } = {}) {
  if (asking) return;
  const input = h('input', { type: 'password', id: 'token', autocomplete: 'off', spellcheck: 'false', placeholder: 'ltm_… or eyJ…', value: token() ?? '' });
  const save = (text) => {
    setToken(text);
    asking.close();
  };
  const form = h('form', { onsubmit: (event) => {
    event.preventDefault();
    save(input.value.trim());
  } },
  h('p', {}, refused ? 'The service asks who you are.' : 'Services that ask who calls want a token.', ' Enter an API key (', h('code', {}, 'ltm key'), ') or a JWT. It stays in this tab and is forgotten with it.'),
  h('label', { for: 'token' }, 'Token'), input,
  h('div', { class: 'actions' },
    token() ? h('button', { type: 'button', class: 'quiet', onclick: () => save('') }, 'Forget it') : null,
    h('button', { type: 'submit', class: 'primary' }, 'Use it')));
  asking = dialog('Token', form);
  asking.addEventListener('close', () => (asking = null));
  input.focus();
}

/** Shows the keys: those of the view, and those that are always there. */
export function showHelp(view) {
  if (document.querySelector('dialog[open]')) return;
  const rows = [...(view?.help() ?? []), ['T', 'Light, dark, or as the system says'], ['?', 'This help'], ['Esc', 'Close']];
  const on = h('input', { type: 'checkbox', onchange: () => setKeysOn(on.checked) });
  on.checked = keysAreOn();
  dialog('Keys',
    h('dl', { class: 'keys' }, rows.map(([keys, text]) => [h('dt', {}, keyCaps(keys)), h('dd', {}, text)])),
    h('label', { class: 'check' }, on, 'Use single keys as commands'),
    h('p', { class: 'hint small' }, 'The state tree and the timeline take the arrow keys once they have the focus.'));
}

function keyCaps(text) {
  return text.split(/( or |, | – )/).map((part, i) => (i % 2 ? part : h('kbd', {}, part)));
}
