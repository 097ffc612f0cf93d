// Two snapshots side by side, of one LTM or of two.

import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks';
import type { Json, JsonObject } from 'ltm-live';
import { count, pretty } from '../../data/json.js';
import { preactPane } from '../../elements/preact-pane.js';
import { plain } from '../../wire/digits.js';
import { token } from '../../wire/session.js';
import type { Acts, Model } from '../model.js';
import { differences, type Difference } from './differences.js';
import { otherOf, stateOf, textOf, type Other } from './other.js';

/** Differences per page; a button shows more. */
const PAGE = 100;
const LONGEST = 4000;
/** Letters of two texts that are plain to see. */
const SHORT = 40;
/** Characters to show around what differs in a text. */
const AROUND = 60;

export function pane(acts: Acts) {
  return preactPane<Model, Acts>(Compare, { className: 'compare', label: 'Compare', acts });
}

function Compare({ model, acts }: { model: Model; acts: Acts }) {
  const other = otherOf(model.compared);
  const { state, error } = useOther(model, acts, other);
  return (
    <>
      <Choice {...{ model, acts, other }} />
      {error !== null ? <p class="hint" role="status">{error}</p>
        : state === undefined ? <p class="hint" role="status">Loading …</p>
          : <Differences was={state} is={model.state} names={[nameOf(other, model), `Snapshot ${model.index}`]} acts={acts} />}
    </>
  );
}

function nameOf({ ltm, index }: Other, model: Model): string {
  if (ltm !== null) return `LTM ${ltm}${index === null ? '' : `, snapshot ${index}`}`;
  if (index !== null) return `Snapshot ${index}`;
  return model.index > model.first ? `Snapshot ${model.index - 1}` : `Before ${model.first > 0 ? `snapshot ${model.first}` : 'the first snapshot'}`;
}

/** The state to compare with: folded from the history, or asked for. */
function useOther(model: Model, acts: Acts, { ltm, index }: Other): { state: JsonObject | undefined; error: string | null } {
  const [asked, setAsked] = useState<{ key: string; state?: JsonObject; error?: string }>({ key: '' });
  // Another token may see what this one may not.
  const key = `${ltm} ${index} ${token()}`;
  useEffect(() => {
    if (ltm === null) return;
    const leaving = new AbortController();
    stateOf(ltm, index, leaving.signal).then(
      (state) => setAsked({ key, state }),
      (error: { title?: string; message: string }) => leaving.signal.aborted || setAsked({ key, error: `LTM ${ltm}: ${error.message || error.title}` }));
    return () => leaving.abort();
  }, [key]);
  const gone = ltm === null && index !== null && (index < model.first || index > model.last);
  const state = gone ? undefined : ltm === null && index !== null ? model.stateAt(index) : ltm === null ? model.before : undefined;
  // The history is folded in slices. The page draws anew when it has folded the chosen snapshot and the one before.
  useLayoutEffect(() => {
    if (ltm === null && index !== null && !gone && state === undefined) acts.drawMore();
  });
  if (gone) return { state, error: `Snapshot ${index} is not in the history: it has ${model.first} to ${model.last}.` };
  if (ltm === null) return { state, error: null };
  return asked.key === key ? { state: asked.state, error: asked.error ?? null } : { state: undefined, error: null };
}

function Choice({ model, acts, other }: { model: Model; acts: Acts; other: Other }) {
  const choose = (wanted: Other) => acts.compare(textOf(wanted));
  const number = (text: string) => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : null);
  const presets: [string, Other][] = [['Previous', { ltm: null, index: null }], ['First', { ltm: null, index: model.first }], ['This one', { ltm: null, index: model.index }]];
  return (
    <div class="compare-choice">
      <div class="segments" role="group" aria-label="Compare with">
        {presets.map(([name, it]) => <button key={name} aria-pressed={name !== 'This one' && textOf(it) === textOf(other)} title={name === 'This one' ? 'Keep this snapshot, then go to another one' : undefined} onClick={() => choose(it)}>{name}</button>)}
      </div>
      <label>snapshot <input inputMode="numeric" size={6} value={other.index ?? ''} placeholder={other.ltm === null ? 'previous' : 'latest'} onChange={(event) => choose({ ...other, index: number(event.currentTarget.value) })} /></label>
      <label>of LTM <input inputMode="numeric" size={8} value={other.ltm ?? ''} placeholder="this one" onChange={(event) => choose({ ltm: /^\d{1,20}$/.exec(event.currentTarget.value.trim())?.[0] ?? null, index: null })} /></label>
    </div>
  );
}

function Differences({ was, is, names, acts }: { was: JsonObject; is: JsonObject; names: [string, string]; acts: Acts }) {
  const { found, more } = useMemo(() => differences(was, is), [was, is]);
  const [shown, setShown] = useState(PAGE);
  if (found.length === 0) return <p class="hint" role="status">The two states are equal.</p>;
  return (
    <>
      <div class="compare-head"><span>{names[0]}</span><span>{names[1]}</span></div>
      <p class="hint small" role="status">{count(found.length, 'difference')}{more ? ', and more' : ''}</p>
      <ol class="differences">
        {found.slice(0, shown).map((it) => <Row key={it.pointer} difference={it} reveal={() => acts.reveal(it.pointer)} />)}
      </ol>
      {found.length > shown && <button class="quiet" onClick={() => setShown(shown + PAGE)}>Show {Math.min(PAGE, found.length - shown)} more of {(found.length - shown).toLocaleString('en')}</button>}
    </>
  );
}

function Row({ difference: { pointer, was, is }, reveal }: { difference: Difference; reveal(): void }) {
  const kind = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed';
  const [before, after] = sides(was, is);
  return (
    <li data-kind={kind}>
      <div class="operation"><span class="op">{kind}</span>{is === undefined ? <span class="path">{pointer}</span> : <button class="path" title="Show in the state" onClick={reveal}>{pointer === '' ? '(the whole state)' : pointer}</button>}</div>
      <div class="pair"><pre class="old">{before}</pre><pre class="new">{after}</pre></div>
    </li>
  );
}

/** Both values; of two texts, the part that differs is marked. */
function sides(was: Json | undefined, is: Json | undefined) {
  if (typeof was !== 'string' || typeof is !== 'string' || was.length + is.length <= SHORT) return [shown(was), shown(is)];
  const [old, now] = [plain(was), plain(is)];
  const shorter = Math.min(old.length, now.length);
  let start = 0;
  while (start < shorter && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < shorter - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const head = start > AROUND ? `…${now.slice(start - AROUND, start)}` : now.slice(0, start);
  const tail = end > AROUND ? `${now.slice(now.length - end, now.length - end + AROUND)}…` : now.slice(now.length - end);
  const cut = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
  const [gone, come] = [cut(old.slice(start, old.length - end)), cut(now.slice(start, now.length - end))];
  return [<>{head}{gone && <del>{gone}</del>}{tail}</>, <>{head}{come && <ins>{come}</ins>}{tail}</>];
}

function shown(value: Json | undefined): string {
  if (value === undefined) return '–';
  const text = typeof value === 'string' ? plain(value) : pretty(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
