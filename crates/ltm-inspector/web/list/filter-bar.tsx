// The fields and chips that filter the list.

import { useSignal } from '@preact/signals';
import type { Counts } from 'ltm-live';
import { useEffect, useRef } from 'preact/hooks';
import { STATUSES, toneOf } from '../data/status.js';
import { Icon } from '../components/icon.js';
import { SINCE, type Filter } from './filter.js';

/** The pause after a key until the services are asked, in milliseconds. */
const TYPING = 250;
/** The most chips for statuses that nobody chose. */
const MOST_CHIPS = 12;

interface Props {
  filter: Filter;
  counts: Counts | undefined;
  ask(wish: Partial<Filter>): void;
  /** Opens what the text names. */
  open(text: string): void;
}

export function FilterBar({ filter, counts, ask, open }: Props) {
  return (
    <div class="list-tools">
      <Field class="wide" icon="search" label="Filter LTMs" placeholder="Words of the name, or an id" value={filter.q} onText={(q) => ask({ q })} onEnter={open} id="filter-name" />
      <Field icon="class" label="Class" placeholder="Class, or app.*" value={filter.fqn} onText={(fqn) => ask({ fqn })} list={Object.keys(counts?.fqn ?? {})} id="filter-class" />
      <TimeRange filter={filter} ask={ask} />
      <button class="chip" data-status="error" aria-pressed={filter.errors} onClick={() => ask({ errors: !filter.errors })} title="Only LTMs for which an error was recorded">With errors</button>
      <Statuses chosen={filter.status} counts={counts} ask={ask} />
    </div>
  );
}

interface FieldProps {
  class?: string;
  icon: string;
  id: string;
  label: string;
  placeholder: string;
  value: string;
  list?: readonly string[];
  onText(text: string): void;
  onEnter?(text: string): void;
}

/** A field that tells its text a moment after the last key, and at once on Enter. */
function Field({ class: kind, icon, id, label, placeholder, value, list, onText, onEnter }: FieldProps) {
  const text = useSignal(value);
  const timer = useRef(0);
  const told = useRef(value);
  // Another part of the page changed the filter.
  useEffect(() => {
    if (value !== told.current) text.value = told.current = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const tell = () => {
    clearTimeout(timer.current);
    if (told.current !== text.value) onText((told.current = text.value));
  };
  const onInput = (event: Event) => {
    text.value = (event.target as HTMLInputElement).value;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(tell, TYPING);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter') return;
    tell();
    onEnter?.(text.value);
  };
  return (
    <label class={`search ${kind ?? ''}`}>
      <Icon name={icon} />
      <input type="search" aria-label={label} placeholder={placeholder} value={text.value} list={list && `${id}-list`} id={id} spellcheck={false} autocomplete="off" onInput={onInput} onChange={tell} onKeyDown={onKeyDown} />
      {list && <datalist id={`${id}-list`}>{list.map((it) => <option value={it} />)}</datalist>}
    </label>
  );
}

function TimeRange({ filter, ask }: Pick<Props, 'filter' | 'ask'>) {
  const value = (event: Event) => (event.target as HTMLInputElement | HTMLSelectElement).value;
  return (
    <span class="times" role="group" aria-label="Time range">
      <select aria-label="Which time" value={filter.by} onChange={(event) => ask({ by: value(event) === 'created' ? 'created' : 'updated' })}>
        <option value="updated">Changed</option>
        <option value="created">Created</option>
      </select>
      <select aria-label="When" value={filter.since} onChange={(event) => ask({ since: value(event), from: '', to: '' })}>
        <option value="">at any time</option>
        {Object.entries(SINCE).map(([key, [label]]) => <option value={key}>{label.toLowerCase()}</option>)}
        <option value="custom">from … to …</option>
      </select>
      {filter.since === 'custom' && (
        <>
          <input type="datetime-local" aria-label="From" value={filter.from} onChange={(event) => ask({ from: value(event) })} />
          <input type="datetime-local" aria-label="To" value={filter.to} onChange={(event) => ask({ to: value(event) })} />
        </>
      )}
    </span>
  );
}

function Statuses({ chosen, counts, ask }: { chosen: readonly string[]; counts: Counts | undefined; ask: Props['ask'] }) {
  const known = Object.entries(counts?.status ?? {}).sort((a, b) => b[1] - a[1]).map(([word]) => word);
  const others = known.filter((word) => !STATUSES.includes(word)).slice(0, MOST_CHIPS);
  const words = [...new Set([...STATUSES, ...others, ...chosen])];
  const toggle = (word: string) => ask({ status: chosen.includes(word) ? chosen.filter((it) => it !== word) : [...chosen, word] });
  return (
    <div class="chips" role="group" aria-label="Status">
      <button class="chip" aria-pressed={chosen.length === 0} onClick={() => ask({ status: [] })}>All{counts && <b>{counts.total.toLocaleString('en')}</b>}</button>
      {words.map((word) => (
        <button key={word} class="chip" data-status={toneOf(word)} aria-pressed={chosen.includes(word)} onClick={() => toggle(word)}>
          <i class="dot" aria-hidden="true" /><span>{word}</span>{counts && <b>{(counts.status[word] ?? 0).toLocaleString('en')}</b>}
        </button>
      ))}
    </div>
  );
}
