// Notices in place of data, in parts that Preact draws.

import type { ComponentChildren } from 'preact';

/** A notice in the middle of its area; its children are what to do. */
export function Notice({ title, text, children }: { title: string; text: string; children?: ComponentChildren }) {
  return <div class="notice"><h2>{title}</h2><p>{text}</p>{children && <div class="actions">{children}</div>}</div>;
}

/** Grey lines in place of data that is loading. */
export function Skeleton({ lines }: { lines: number }) {
  return <div class="skeleton" role="status"><span class="visually-hidden">Loading …</span>{Array.from({ length: lines }, (_, i) => <i key={i} />)}</div>;
}
