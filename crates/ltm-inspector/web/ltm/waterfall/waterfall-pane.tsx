// What ran when: a row for each state, tool call, error, and run of equal steps; bars along the time.

import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { preactPane } from '../../elements/preact-pane.js';
import type { Acts, Model } from '../model.js';
import { Chart } from './chart.js';
import { KeptRows } from './kept-rows.js';
import { Recorder } from './recorder.js';
import { keyAt, rowAt, rowCount, sectionsOf, type Row, type Section } from './rows.js';
import { Scale, type Unit } from './scale.js';

/** The height of a row, as in the style sheet. */
const ROW = 26;
const OVERSCAN = 2;
/** The width of the labels, of the pane's. */
const LABEL = { least: 130, share: 0.38, most: 340 };
/** To the right of the charts, as in the style sheet. */
const MARGIN = 12;
/** How long to read the history without a pause, in milliseconds. */
const SLICE = 4;
/** Browsers lay out at most about ten million pixels. */
const HIGHEST = 8_000_000;

export function pane(acts: Acts) {
  return preactPane<Model, Acts>(Waterfall, { className: 'waterfall', label: 'Waterfall', acts });
}

function Waterfall({ model, acts }: { model: Model; acts: Acts }) {
  const recorder = useRecorder(model, acts);
  const [unit, setUnit] = useState<Unit>('time');
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [box, size] = useBox();
  const scale = useMemo(() => new Scale(recorder.times, size.chart, unit), [recorder.version, size.chart, unit]);
  const sections = useMemo(() => sectionsOf(recorder, model, scale), [recorder.version, model.view.errors, model.view.name, scale]);
  const toggle = (name: string) => setClosed(new Set(closed.has(name) ? [...closed].filter((it) => it !== name) : [...closed, name]));
  const rest = model.view.snapshots.length - recorder.done;
  return (
    <div class="waterfall-body" style={{ '--label-width': `${size.label}px` }}>
      <div class="pane-head">
        <div class="segments" role="group" aria-label="Horizontal axis">
          {(['time', 'steps'] as const).map((it) => <button key={it} aria-pressed={unit === it} onClick={() => setUnit(it)}>{it === 'time' ? 'By time' : 'By step'}</button>)}
        </div>
        <span class="tally" role="status">{rest > 0 ? `${rest.toLocaleString('en')} steps to read` : scale.last > 0 ? scale.took(0, scale.last) : ''}</span>
      </div>
      <Axis scale={scale} first={model.first} now={model.index - model.first} />
      <Rows {...{ sections, closed, toggle, scale, unit, size, box, model, acts }} />
    </div>
  );
}

/** Reads the history, a few milliseconds in each frame. */
function useRecorder({ view: { snapshots } }: Model, acts: Acts): Recorder {
  const [recorder] = useState(() => new Recorder());
  recorder.update(snapshots);
  const finished = recorder.work(performance.now() + SLICE);
  useLayoutEffect(() => {
    if (!finished) acts.drawMore();
  });
  return recorder;
}

interface Size { label: number; chart: number; height: number }

/** The size of the box of rows, and of the charts in it. */
function useBox(): [{ current: HTMLDivElement | null }, Size] {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<Size>({ label: 0, chart: 0, height: 0 });
  useLayoutEffect(() => {
    const element = box.current as HTMLDivElement;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const label = Math.round(Math.min(LABEL.most, Math.max(LABEL.least, width * LABEL.share)));
      setSize({ label, height, chart: Math.max(40, width - label - MARGIN) });
    };
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    measure();
    return () => watch.disconnect();
  }, []);
  return [box, size];
}

function Axis({ scale, first, now }: { scale: Scale; first: number; now: number }) {
  return (
    <div class="axis" aria-hidden="true">
      {scale.labels(first).map(({ x, text }) => <span key={x} style={{ transform: `translateX(${x}px)` }}>{text}</span>)}
      <i style={{ transform: `translateX(${scale.x(now)}px)` }} />
    </div>
  );
}

interface RowsProps {
  sections: Section[];
  closed: ReadonlySet<string>;
  toggle(name: string): void;
  scale: Scale;
  unit: Unit;
  size: Size;
  box: { current: HTMLDivElement | null };
  model: Model;
  acts: Acts;
}

/** The rows in view, as a tree of sections. */
function Rows({ sections, closed, toggle, scale, unit, size, box, model, acts }: RowsProps) {
  const { first, live } = model;
  const now = model.index - first;
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(0);
  const count = rowCount(sections, closed);
  const from = Math.max(0, Math.floor(top / ROW) - OVERSCAN);
  const to = Math.min(count, Math.ceil((top + size.height) / ROW) + OVERSCAN);
  const act = (row: Row | undefined) => row && (row.open === undefined ? acts.pick(first + row.place) : toggle(row.key));
  const key = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: count - 1, PageDown: active + 15, PageUp: active - 15 };
    const row = rowAt(sections, closed, active);
    const wanted = moves[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (wanted !== undefined) {
      const next = Math.min(count - 1, Math.max(0, wanted));
      setActive(next);
      reveal(box.current as HTMLElement, next);
    } else if (event.key === 'Enter' || event.key === ' ') act(row);
    else if ((event.key === 'ArrowRight' && row?.open === false) || (event.key === 'ArrowLeft' && row?.open === true)) toggle(row.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const [kept] = useState(() => new KeptRows());
  const picture = useMemo(() => ({}), [sections, scale, now]);
  const { nodes, behind } = kept.draw({
    from, to, picture,
    // A frame shows all that the user did, and no row twice.
    place: (index) => [keyAt(sections, closed, index), index === active, closed, first, unit, size.chart, live || now],
    draw(index) {
      const row = rowAt(sections, closed, index) as Row;
      return <OneRow key={index} {...{ row, index, scale, now }} chosen={index === active} choose={() => setActive(index)} act={() => act(row)} pick={(place) => acts.pick(first + place)} />;
    },
  });
  useLayoutEffect(() => {
    if (behind) acts.drawMore();
  });
  return (
    <div class="waterfall-rows" ref={box} role="tree" tabIndex={0} aria-label="What ran when" aria-activedescendant={active >= from && active < to ? `waterfall-${active}` : undefined} onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={key}>
      <div class="virtual-space" role="presentation" style={{ height: `${Math.min(count * ROW, HIGHEST)}px` }}>
        {nodes}
      </div>
    </div>
  );
}

function reveal(box: HTMLElement, index: number) {
  const top = index * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
}

interface OneRowProps { row: Row; index: number; scale: Scale; now: number; chosen: boolean; choose(): void; act(): void; pick(place: number): void }

function OneRow({ row, index, scale, now, chosen, choose, act, pick }: OneRowProps) {
  const { label, note, detail, level, open, bad } = row;
  const words = [label, note, detail].filter(Boolean).join(', ');
  const here = row.bars.some(({ from, to }) => from <= now && now <= to);
  const click = (event: MouseEvent) => {
    choose();
    const chart = (event.target as Element).closest('svg');
    if (chart && open === undefined) pick(scale.placeAt(event.clientX - chart.getBoundingClientRect().left));
    else act();
  };
  return (
    <div class={open === undefined ? 'bar-row' : 'bar-row section'} role="treeitem" id={`waterfall-${index}`} aria-level={level} aria-expanded={open} aria-selected={chosen} aria-label={words} title={words} data-here={here || undefined} data-bad={bad || undefined}
      style={{ transform: `translateY(${index * ROW}px)` }} onClick={click}>
      <span class="bar-label" style={{ '--depth': Math.min(level - 1, 12) }}><b>{label}</b> <span class="bar-note">{note}</span></span>
      {open === undefined && <Chart row={row} scale={scale} now={now} />}
    </div>
  );
}
