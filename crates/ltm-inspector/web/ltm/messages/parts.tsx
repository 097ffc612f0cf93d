// The parts of a message: texts, thoughts, data, and tool calls with their results.

import { useState } from 'preact/hooks';
import type { Json } from 'ltm-live';
import { brief, pretty } from '../../data/json.js';
import { plain } from '../../wire/digits.js';
import { Markdown } from './markdown.js';
import type { Call, Part, Result } from './message.js';

/** Characters of a text that are shown at first. */
const SHOWN = 20_000;
const LONGEST_BRIEF = 80;

export function MessagePart({ part }: { part: Part }) {
  if (part.kind === 'data') return <Fold summary={<span class="kind-word">{part.label}</span>}>{() => <Block value={part.value} />}</Fold>;
  if (part.kind === 'text') return <Text {...part} />;
  return <Fold summary={<span class="kind-word">{part.growing ? 'Thinking …' : 'Thoughts'}</span>}>{() => <Text {...part} />}</Fold>;
}

function Text({ text, growing }: { text: string; growing: boolean }) {
  // A text that grew before the reader's eyes is not cut when it ends.
  const [whole, setWhole] = useState(growing);
  const cut = !whole && !growing && text.length > SHOWN;
  return (
    <>
      <Markdown text={cut ? text.slice(0, SHOWN) : text} growing={growing} />
      {cut && <button class="quiet" onClick={() => setWhole(true)}>Show all {text.length.toLocaleString('en')} characters</button>}
    </>
  );
}

export function ToolCall({ call, result }: { call: Call; result: Result | undefined }) {
  const state = result === undefined ? 'waiting' : result.failed ? 'failed' : result.growing ? 'growing' : 'done';
  const word = { waiting: 'no result', failed: 'failed', growing: 'running', done: 'done' }[state];
  const summary = (
    <>
      <code class="call-name">{call.name}</code>
      <span class="call-brief">{briefly(call.arguments)}</span>
      <span class="call-state" data-state={state}>{word}</span>
    </>
  );
  return (
    <Fold className="call" summary={summary}>
      {() => (
        <>
          <h3>Arguments</h3>
          <Block value={call.arguments} />
          <h3>Result</h3>
          {result === undefined ? <p class="hint small">none in this snapshot</p> : <Block value={result.value} />}
        </>
      )}
    </Fold>
  );
}

/** A result without its call. */
export function LooseResult({ result }: { result: Result }) {
  const summary = (
    <>
      <code class="call-name">{result.name ?? 'Result'}</code>
      <span class="call-brief">{briefly(result.value)}</span>
      {result.failed && <span class="call-state" data-state="failed">failed</span>}
    </>
  );
  return <Fold className="call" summary={summary}>{() => <Block value={result.value} />}</Fold>;
}

/** Makes its content when it is opened first. */
function Fold({ summary, className = '', children }: { summary: preact.ComponentChildren; className?: string; children: () => preact.ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <details class={`fold ${className}`} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && <div class="fold-body">{children()}</div>}
    </details>
  );
}

/** A value in full: a text as it is, anything else as JSON. */
function Block({ value }: { value: Json }) {
  const text = typeof value === 'string' ? plain(value) : pretty(value);
  return <pre class="block" tabIndex={0}>{text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… ${(text.length - SHOWN).toLocaleString('en')} more characters` : text}</pre>;
}

/** Arguments on one line: `query="harbours", limit=5`. */
function briefly(value: Json): string {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return typeof value === 'string' ? value.slice(0, 2 * LONGEST_BRIEF) : brief(value, LONGEST_BRIEF);
  return Object.entries(value).slice(0, 8).map(([name, it]) => `${name}=${brief(it, LONGEST_BRIEF)}`).join(', ');
}
