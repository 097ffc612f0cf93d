// A page that shows an LTM by React, and counts how often each item is rendered.
import { createElement, memo, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { useLtm } from '../../dist/react.js';

window.renders = {};

const Item = memo(function Item({ name, item }) {
  window.renders[name] = (window.renders[name] ?? 0) + 1;
  return ` ${name}=${item.n}`;
});

function Ltm({ url, id }) {
  const { status, state } = useLtm(url, id);
  const items = Object.entries(state?.items ?? {}).map(([name, item]) => createElement(Item, { key: name, name, item }));
  return createElement('p', null, status, items);
}

let root;

export function show(url, id) {
  root ??= createRoot(document.body);
  root.render(createElement(StrictMode, null, createElement(Ltm, { url, id })));
}

window.show = show;
window.hide = () => root.unmount();
