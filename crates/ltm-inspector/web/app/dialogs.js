// The dialogs for the token and for the keys.

import { h } from '../elements/dom.js';
import { icon } from '../elements/icons.js';
import { keysAreOn, setKeysOn } from './keys.js';
import { setToken, token } from '../wire/session.js';

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

/** Opens the token dialog, unless it is open already. */
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
  h('p', {}, refused ? 'The service requires a valid token.' : 'Some services require a token.', ' Enter an API key (', h('code', {}, 'ltm key'), ') or a JWT. It stays in this tab; closing the tab removes it.'),
  h('label', { for: 'token' }, 'Token'), input,
  h('div', { class: 'actions' },
    token() ? h('button', { type: 'button', class: 'quiet', onclick: () => save('') }, 'Remove token') : null,
    h('button', { type: 'submit', class: 'primary' }, 'Use token')));
  asking = dialog('Token', form);
  asking.addEventListener('close', () => (asking = null));
  input.focus();
}

/** Shows the keys of the view and the keys of every view. */
export function showHelp(view) {
  if (document.querySelector('dialog[open]')) return;
  const rows = [...(view?.help() ?? []), ['T', 'Light, dark, or the theme of the system'], ['?', 'This help'], ['Esc', 'Close']];
  const on = h('input', { type: 'checkbox', onchange: () => setKeysOn(on.checked) });
  on.checked = keysAreOn();
  dialog('Keys',
    h('dl', { class: 'keys' }, rows.map(([keys, text]) => [h('dt', {}, keyCaps(keys)), h('dd', {}, text)])),
    apiDocs(),
    h('label', { class: 'check' }, on, 'Use single keys as commands'),
    h('p', { class: 'hint small' }, 'The state tree and the timeline use the arrow keys while they have the focus.'));
}

/** A link to the API's own page, unless `api.docs` is off. */
function apiDocs() {
  const link = h('p', { hidden: true }, h('a', { class: 'link', href: 'docs' }, 'API reference'));
  fetch('docs', { method: 'HEAD' }).then(({ ok }) => (link.hidden = !ok), () => {});
  return link;
}

function keyCaps(text) {
  return text.split(/( or |, | – )/).map((part, i) => (i % 2 ? part : h('kbd', {}, part)));
}
