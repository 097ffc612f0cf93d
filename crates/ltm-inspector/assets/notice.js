// What there is to say in place of data: nothing there yet, loading, or something went wrong; and what to do.

import { h } from './dom.js';

/** A notice in the middle of its place. */
export function notice(title, text, ...actions) {
  return h('div', { class: 'notice' }, h('h2', {}, title), typeof text === 'string' ? h('p', {}, text) : text, actions.length ? h('div', { class: 'actions' }, actions) : null);
}

/** What an error says, and what to do about it. */
export function errorNotice(error, ...actions) {
  const title = error?.title ?? 'Something went wrong';
  return notice(title, error?.detail || error?.message || '', ...actions);
}

/** Grey lines where data will be. */
export function skeleton(lines) {
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'visually-hidden' }, 'Loading …'), Array.from({ length: lines }, () => h('i', {})));
}
