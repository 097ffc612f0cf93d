// An LTM's machine as a tree of states: the states of its structure, with the instances of parameterised states.

import { member } from '../data/json.js';


/** The most instances of one state to show one by one. */
const MOST_INSTANCES = 24;
/** The most states to draw, and the most transitions of each machine: drawing more takes long. */
const MOST_STATES = 600;
const MOST_TRANSITIONS = 600;
/** The deepest level to draw. */
const DEEPEST = 24;

/**
 * The tree: `{ id, name, kind, path, children, transitions, init, hidden }`. `id` is the fqn of the instance, and `path` has the keys that
 * lead to its state. `kind` is `machine`, `state`, or `group`, which holds the instances of a parameterised state.
 */
export function machineOf(structure, instances, state) {
  const name = String(structure?.name ?? 'machine');
  return node(structure ?? {}, { id: name, name, path: [], known: object(instances), state, depth: 0, room: { left: MOST_STATES } });
}

function object(value) {
  return value !== null && typeof value === 'object' ? value : {};
}

function list(value) {
  return Array.isArray(value) ? value : [];
}

function node(structure, place) {
  const all = place.depth < DEEPEST ? list(structure.ltms) : [];
  const shown = all.slice(0, place.room.left);
  place.room.left -= shown.length;
  const children = shown.map((child) => childOf(object(child), place));
  return {
    id: place.id,
    name: place.name,
    path: place.path,
    kind: children.length ? 'machine' : 'state',
    children,
    hidden: all.length - shown.length,
    init: list(structure.init).map(String),
    transitions: list(structure.transitions).slice(0, MOST_TRANSITIONS).map(transition),
  };
}

function transition(it) {
  const text = (value) => (value === null || value === undefined ? '' : String(value));
  return { from: text(it?.from), to: text(it?.to), label: text(it?.label), namespace: text(it?.namespace), shown: text(it?.display_label ?? it?.label) };
}

function childOf(structure, place) {
  const name = String(structure.name ?? '');
  const inner = (fname) => node(structure, {
    ...place,
    id: `${place.id}.${fname}`,
    name: fname,
    path: [...place.path, fname],
    state: member(place.state, fname),
    depth: place.depth + 1,
  });
  if (!name.includes('{')) return { ...inner(name), key: name };
  const names = instanceNames(structure, name, place);
  const shown = names.slice(0, Math.min(MOST_INSTANCES, place.room.left));
  place.room.left -= shown.length;
  return {
    id: `${place.id}.${name}`,
    key: name,
    name,
    path: place.path,
    kind: 'group',
    children: shown.map(inner),
    hidden: names.length - shown.length,
    init: [],
    transitions: [],
    names,
  };
}

/** The names of the instances that the document lists or the state has. */
function instanceNames(structure, name, place) {
  const listed = list(place.known[structure.fqn])
    .filter((it) => typeof it?.fname === 'string' && it.fqn === `${place.id}.${it.fname}`)
    .map((it) => it.fname);
  const pattern = new RegExp(`^${name.split(/\{[^}]*\}/).map(escape).join('.+')}$`, 'su');
  const inState = Object.keys(object(place.state)).filter((key) => pattern.test(key) && member(place.state[key], '_status') !== undefined);
  return [...new Set([...listed, ...inState])].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

function escape(text) {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Machines with the same signature differ only in their statuses, so they have the same drawing. */
export function signature(machine) {
  const children = machine.children.map(signature).join(',');
  return `${machine.id}${machine.kind[0]}${machine.hidden}(${children})`;
}

/** All states and machines of the tree. */
export function* walk(machine) {
  yield machine;
  for (const child of machine.children) yield* walk(child);
}

/** What a snapshot executed: a state, or the transitions that it took, by their edge keys. */
export function ranIn(machine, snapshot) {
  const item = snapshot?.item;
  const ran = { state: null, transitions: new Set() };
  if (item === null || typeof item !== 'object') return ran;
  if (typeof item.fqn === 'string') ran.state = item.fqn;
  if (typeof item.label !== 'string') return ran;
  for (const { id, transitions } of walk(machine)) {
    for (const it of transitions) {
      if (it.label === item.label && (it.namespace === item.namespace || item.namespace === '')) ran.transitions.add(edgeKey(id, it));
    }
  }
  return ran;
}

/** Names a transition within a drawing. */
export function edgeKey(machineId, it) {
  return JSON.stringify([machineId, it.from, it.to, it.label, it.namespace]);
}

