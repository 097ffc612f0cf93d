// The tabs of an LTM, in their order: a line for each.
//
// `make(acts)` makes a pane that is part of the first load. `load()` imports one that the page loads when it is shown first.
// `offered(model)`: whether the LTM has anything to show there; without it, the tab is always there.

import { LazyPane } from '../elements/lazy-pane.js';
import { conversationsOf } from '../data/conversations.js';
import { AboutPane } from './panes/about-pane.js';
import { ChangesPane } from './panes/changes-pane.js';
import { ErrorsPane } from './panes/errors-pane.js';
import { RollbacksPane } from './panes/rollbacks-pane.js';
import { StatePane } from './panes/state-pane.js';
import { StepPane } from './panes/step-pane.js';

const VIEWS = [
  { name: 'state', label: 'State', make: () => new StatePane() },
  { name: 'messages', label: 'Messages', load: () => import('./messages/messages-pane.js'), offered: ({ view }) => conversationsOf(view.state).length > 0 },
  { name: 'waterfall', label: 'Waterfall', load: () => import('./waterfall/waterfall-pane.js') },
  { name: 'changes', label: 'Changes', make: ({ reveal }) => new ChangesPane({ onPointer: reveal }) },
  { name: 'compare', label: 'Compare', load: () => import('./compare/compare-pane.js') },
  { name: 'step', label: 'Step', make: ({ pick }) => new StepPane({ onStep: pick }) },
  { name: 'errors', label: 'Errors', make: ({ pick }) => new ErrorsPane({ onStep: pick }) },
  { name: 'rollbacks', label: 'Rollbacks', make: () => new RollbacksPane() },
  { name: 'about', label: 'About', make: () => new AboutPane() },
  { name: 'act', label: 'Act', load: () => import('./act/act-pane.js') },
];

/** The names, in the order of the tabs. The digits of the keyboard choose them. */
export const NAMES = VIEWS.map(({ name }) => name);

/** The tabs, with their panes. */
export function views(acts) {
  return VIEWS.map(({ make, load, ...view }) => ({ ...view, pane: make ? make(acts) : new LazyPane(load, acts) }));
}
