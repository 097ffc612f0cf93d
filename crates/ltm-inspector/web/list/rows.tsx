// The table of LTMs.

import { useComputed, useSignal, type Signal } from '@preact/signals';
import type { Row } from 'ltm-live';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { ltmLink } from '../app/router.js';
import { toneOf } from '../data/status.js';
import { ago, fullTime } from '../data/time.js';

const HEAD = ['Status', 'LTM', 'Class', 'Snapshots', 'Created', 'Last change'];
/** The pause between two updates of the ages, in milliseconds. */
const AGING = 5_000;

interface Props {
  rows: readonly Row[];
  arrived: ReadonlySet<string>;
  /** Whether other rows are on their way. */
  stale: boolean;
  /** The number of all rows, if it is known. */
  total: number | undefined;
  onFqn(fqn: string): void;
}

export function Rows({ rows, arrived, stale, total, onFqn }: Props) {
  const now = useNow();
  return (
    <table class="ltms" role="table" aria-rowcount={total === undefined ? -1 : total + 1} aria-busy={stale}>
      <caption class="visually-hidden">LTMs, newest first</caption>
      <thead role="rowgroup">
        <tr role="row">{HEAD.map((name) => <th role="columnheader" scope="col">{name}</th>)}</tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => <OneRow key={row.id} row={row} now={now} arrived={arrived.has(row.id)} onFqn={onFqn} />)}
      </tbody>
    </table>
  );
}

/** A row that did not change is the same object, and costs nothing. */
function OneRow({ row, now, arrived, onFqn }: { row: Row; now: Signal<number>; arrived: boolean; onFqn(fqn: string): void }) {
  return useMemo(() => <Cells row={row} now={now} arrived={arrived} onFqn={onFqn} />, [row, arrived]);
}

function Cells({ row, now, arrived, onFqn }: { row: Row; now: Signal<number>; arrived: boolean; onFqn(fqn: string): void }) {
  const link = ltmLink(row.id);
  const open = (event: MouseEvent) => {
    if (!(event.target as Element).closest('a, button') && !String(getSelection())) location.hash = link;
  };
  return (
    <tr role="row" class={arrived ? 'new' : undefined} data-id={row.id} onClick={open}>
      <td role="cell" class="status"><Badge status={row.status} /></td>
      <td role="cell" class="names"><div><a class="name" href={link} title={row.name}>{row.name}</a><span class="id">#{row.id}</span></div></td>
      <td role="cell" class="class"><button class="fqn" title={`Show only this class: ${row.fqn}`} onClick={() => onFqn(row.fqn)}>{row.fqn}</button></td>
      <Snapshots number={row.snapshots_count} />
      <When label="Created" at={row.created_at} now={now} />
      <When label="Last change" at={row.updated_at} now={now} />
    </tr>
  );
}

function Badge({ status }: { status: string | null }) {
  return (
    <span class="badge" data-status={toneOf(status)} title={status ?? undefined}>
      <i class="dot" aria-hidden="true" /><span>{status ?? '–'}</span>
    </span>
  );
}

/** The number of snapshots. It lights up when it changes: another key makes another element, whose animation runs. */
function Snapshots({ number }: { number: number }) {
  const first = useRef(number);
  const word = number === 1 ? ' snapshot' : ' snapshots';
  return <td role="cell" class="count" data-word={word}><span key={number} class={number === first.current ? undefined : 'moved'}>{Number(number).toLocaleString('en')}</span></td>;
}

function When({ label, at, now }: { label: string; at: string; now: Signal<number> }) {
  const text = useComputed(() => ago(at, now.value));
  return <td role="cell" class="when" data-label={label} title={fullTime(at)}>{text}</td>;
}

/** The time, as often as ages need it. */
function useNow(): Signal<number> {
  const now = useSignal(Date.now());
  useEffect(() => {
    const ticking = setInterval(() => (now.value = Date.now()), AGING);
    return () => clearInterval(ticking);
  }, []);
  return now;
}
