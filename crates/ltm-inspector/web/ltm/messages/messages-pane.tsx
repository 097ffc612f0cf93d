// The conversation in the state of the chosen snapshot.

import { Component, createRef } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { pointerBelow, valueAt, type Json } from 'ltm-live';
import { conversationsOf } from '../../data/conversations.js';
import { count } from '../../data/json.js';
import { preactPane } from '../../elements/preact-pane.js';
import type { Acts, Model } from '../model.js';
import { LooseResult, MessagePart, ToolCall } from './parts.js';
import { threadOf, type Entry } from './thread.js';

/** Messages per page: the last ones are shown; scrolling up shows earlier ones. */
const PAGE = 60;
/** How near to the end still counts as the end, in pixels. */
const NEAR = 40;

export function pane(acts: Acts) {
  return preactPane<Model, Acts>(MessagesPane, { className: 'messages', label: 'Messages', acts });
}

function MessagesPane({ model, acts }: { model: Model; acts: Acts }) {
  const wanted = model.conversation;
  const pointers = conversationsOf(model.state);
  const pointer = wanted !== null && pointers.includes(wanted) ? wanted : longest(model.state, pointers);
  if (pointer === undefined) return <p class="hint">There are no messages in the state of this snapshot.</p>;
  return <Conversation key={pointer} {...{ model, acts, pointer, pointers, choose: acts.converse }} />;
}

/** The conversation with most messages. */
function longest(state: Json, pointers: string[]): string | undefined {
  const size = (pointer: string) => listAt(state, pointer)?.length ?? 0;
  return pointers.toSorted((a, b) => size(b) - size(a) || a.length - b.length)[0];
}

function listAt(state: Json | undefined, pointer: string): Json[] | undefined {
  const list = valueAt(state, pointer);
  return Array.isArray(list) ? list : undefined;
}

interface Shown { model: Model; acts: Acts; pointer: string; pointers: string[]; choose: (pointer: string) => void }

function Conversation({ model, acts, pointer, pointers, choose }: Shown) {
  const list = listAt(model.state, pointer) ?? [];
  const before = listAt(model.before, pointer);
  const entries = useMemo(() => threadOf(list, before), [list, before]);
  const [most, setMost] = useState(PAGE);
  const body = useRef<HTMLOListElement>(null);
  const hidden = Math.max(0, entries.length - most);
  const shown = entries.slice(hidden);
  useScroll(body, shown, model);
  return (
    <>
      <div class="pane-head">
        <span>{count(list.length, 'message')} in {pointers.length > 1 ? <Choice {...{ pointers, pointer, choose }} /> : <button class="path" title="Show in the state" onClick={() => acts.reveal(pointer)}>{pointer}</button>}</span>
      </div>
      {hidden > 0 && <Earlier hidden={hidden} more={() => setMost(most + PAGE)} />}
      <ol class="thread" ref={body}>
        {shown.map((entry) => <MessageRow key={entry.index} entry={entry} reveal={() => acts.reveal(pointerBelow(pointer, entry.index))} />)}
      </ol>
    </>
  );
}

function Choice({ pointers, pointer, choose }: { pointers: string[]; pointer: string; choose: (pointer: string) => void }) {
  return (
    <select aria-label="Conversation" value={pointer} onChange={(event) => choose(event.currentTarget.value)}>
      {pointers.map((it) => <option key={it} value={it}>{it}</option>)}
    </select>
  );
}

/** A button for earlier messages; it presses itself when it comes into view. */
class Earlier extends Component<{ hidden: number; more: () => void }> {
  readonly #button = createRef<HTMLButtonElement>();
  #watch: IntersectionObserver | undefined;

  override componentDidMount() {
    const scroll = this.#button.current?.closest('.scroll') as HTMLElement;
    this.#watch = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && this.#more(scroll), { root: scroll });
    // At first the pane stands at its top, before it goes to the end.
    requestAnimationFrame(() => this.#button.current && this.#watch?.observe(this.#button.current));
  }

  override componentWillUnmount() {
    this.#watch?.disconnect();
  }

  /** What was in view stays where it is. */
  #more(scroll: HTMLElement) {
    const end = scroll.scrollHeight - scroll.scrollTop;
    this.props.more();
    requestAnimationFrame(() => {
      scroll.scrollTop = scroll.scrollHeight - end;
      const button = this.#button.current;
      if (!button) return;
      this.#watch?.unobserve(button);
      this.#watch?.observe(button);
    });
  }

  override render() {
    return <button class="quiet earlier" ref={this.#button} onClick={() => this.#more(this.#button.current?.closest('.scroll') as HTMLElement)}>Show earlier messages ({this.props.hidden.toLocaleString('en')})</button>;
  }
}

/** Keeps the end in view while the reader is there; brings into view what a chosen step changed. */
function useScroll(body: { current: HTMLElement | null }, shown: Entry[], model: Model) {
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const list = body.current as HTMLElement;
    const scroll = list.closest('.scroll') as HTMLElement;
    const toEnd = () => atEnd.current && (scroll.scrollTop = scroll.scrollHeight);
    const look = () => (atEnd.current = scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - NEAR);
    const sized = new ResizeObserver(toEnd);
    sized.observe(list);
    sized.observe(scroll);
    scroll.addEventListener('scroll', look, { passive: true });
    toEnd();
    return () => {
      sized.disconnect();
      scroll.removeEventListener('scroll', look);
    };
  }, []);
  const marked = shown.findLast((entry) => entry.mark)?.index;
  useLayoutEffect(() => {
    if (model.live) return;
    const row = body.current?.querySelector(`[data-index="${marked}"]`);
    atEnd.current = marked === shown.at(-1)?.index;
    row?.scrollIntoView({ block: 'nearest' });
  }, [model.index, model.live]);
}

const NAMES = { user: 'User', assistant: 'Assistant', system: 'System', tool: 'Tool', other: '' };
const MARKS = { added: 'added by this step', changed: 'changed by this step' };

/** One message. It is drawn again only if it changed. */
class MessageRow extends Component<{ entry: Entry; reveal: () => void }> {
  override shouldComponentUpdate({ entry }: { entry: Entry }) {
    const now = this.props.entry;
    return entry.message !== now.message || entry.mark !== now.mark || entry.answers.some((it, at) => it !== now.answers[at]) || entry.loose.length !== now.loose.length;
  }

  override render() {
    const { message, answers, loose, mark, index } = this.props.entry;
    return (
      <li class="message" data-role={message.role} data-index={index} data-mark={mark ?? undefined}>
        <header>
          <h2 title={message.word}>{NAMES[message.role] || message.word}</h2>
          {message.author !== null && <span class="author">{message.author}</span>}
          {mark && <span class="mark-word">{MARKS[mark]}</span>}
          <button class="number" title="Show in the state" aria-label={`Show message ${index} in the state`} onClick={this.props.reveal}>{index}</button>
        </header>
        {message.parts.map((part, at) => <MessagePart key={at} part={part} />)}
        {message.calls.map((call, at) => <ToolCall key={at} call={call} result={answers[at]} />)}
        {loose.map((result, at) => <LooseResult key={at} result={result} />)}
        {message.parts.length + message.calls.length + loose.length === 0 && <p class="hint small">empty</p>}
      </li>
    );
  }
}
