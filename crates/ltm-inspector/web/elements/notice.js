// Notices in place of data: nothing yet, loading, or an error, and what to do.

import { h } from './dom.js';

/** A notice in the middle of its area. */
export function notice(title, text, ...actions) {
  return h('div', { class: 'notice' }, h('h2', {}, title), typeof text === 'string' ? h('p', {}, text) : text, actions.length ? h('div', { class: 'actions' }, actions) : null);
}

/** A notice for an error, with actions. */
export function errorNotice(error, ...actions) {
  const title = error?.title ?? 'Something went wrong';
  return notice(title, error?.detail || error?.message || '', ...actions);
}

/** Grey lines in place of data that is loading. */
export function skeleton(lines) {
  return h('div', { class: 'skeleton', role: 'status' }, h('span', { class: 'visually-hidden' }, 'Loading …'), Array.from({ length: lines }, () => h('i', {})));
}
