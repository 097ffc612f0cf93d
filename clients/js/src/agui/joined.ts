import type { BaseEvent } from '@ag-ui/client';

/** An event with all its members. */
export type Event = BaseEvent & Record<string, unknown>;

/** The event that ends what an event begins, and the member with the id of it. */
const ENDS: Record<string, readonly [end: string, id: string]> = {
  STEP_STARTED: ['STEP_FINISHED', 'stepName'],
  TEXT_MESSAGE_START: ['TEXT_MESSAGE_END', 'messageId'],
  TOOL_CALL_START: ['TOOL_CALL_END', 'toolCallId'],
  REASONING_START: ['REASONING_END', 'messageId'],
  REASONING_MESSAGE_START: ['REASONING_MESSAGE_END', 'messageId'],
  SUBAGENT_STARTED: ['SUBAGENT_FINISHED', 'subagentRunId'],
};
const IDS = new Map(Object.values(ENDS));
/** The member with the subagent that an event belongs to. A client rejects an end that names another one. */
const OWNER = 'subagentRunId';
/** The ends of what is part of the list of messages. */
const OF_MESSAGES = new Set(['TEXT_MESSAGE_END', 'TOOL_CALL_END', 'REASONING_MESSAGE_END']);

/**
 * Joins the events of several connections to one run. At the begin of a connection the gateway begins again what the
 * client may lack: the run, the messages that are open, and the entry after the cursor. An AG-UI client rejects what begins
 * twice, and adds a text twice.
 */
export class Joined {
  /** Whether the run has ended. */
  ended = false;
  private started: Event | undefined;
  /** What is open: the event that would end it. */
  private readonly open = new Map<string, Event>();
  /** The events since the cursor, as they came. */
  private since: string[] = [];
  /** Those of them that this connection has still to repeat. */
  private repeats: string[] = [];
  /** Whether the messages of a whole state have come, and its last event has not. */
  private within = false;

  /** `after` is the cursor after which the next connection begins; without one, it begins with the whole state. */
  constructor(public after?: string) {}

  /** Whether the run has begun. */
  get begun(): boolean {
    return this.started !== undefined;
  }

  /** A connection begins. */
  connected(): void {
    this.repeats = [...this.since];
    this.within = false;
  }

  /** The events for the client; `undefined` if only the whole state can say what happened meanwhile. */
  next(data: string, id?: string): Event[] | undefined {
    const event = JSON.parse(data) as Event;
    const repeated = this.isRepeated(data);
    const events = repeated ? [] : this.joined(event);
    if (repeated && (event.type as string) === 'MESSAGES_SNAPSHOT') {
      this.within = true;
    }
    if (!events) {
      this.restart();
      return undefined;
    }
    if (id !== undefined) {
      this.since = [];
      this.after = id;
      this.within = false;
    } else if (events.length && event.type !== 'RUN_STARTED') {
      this.since.push(data);
    }
    return events;
  }

  private isRepeated(data: string): boolean {
    if (this.repeats[0] !== data) {
      return false;
    }
    this.repeats.shift();
    return true;
  }

  /** The next connection begins with the whole state. */
  private restart(): void {
    this.after = undefined;
    this.since = [];
  }

  private joined(event: Event): Event[] | undefined {
    const { type } = event as { type: string };
    const end = ENDS[type];
    if (end) {
      return this.begins(event, ...end);
    }
    switch (type) {
      case 'RUN_STARTED':
        return this.starts(event);
      case 'MESSAGES_SNAPSHOT':
      case 'STATE_SNAPSHOT':
        this.since = [];
        this.repeats = [];
        if (this.within) {
          // The texts between the two are open.
          return [event];
        }
        this.within = true;
        return [...this.closed(({ type }) => OF_MESSAGES.has(type)), event];
      case 'RUN_FINISHED':
        return this.finishes(event);
      case 'RUN_ERROR':
        this.ended = true;
        return [event];
      default:
        return this.continues(event, type === 'SUBAGENT_ERROR' ? 'SUBAGENT_FINISHED' : type);
    }
  }

  private starts(event: Event): Event[] | undefined {
    if (!this.started) {
      this.started = event;
      return [event];
    }
    // The messages of another run are new to the client.
    const { input } = event;
    return input === undefined || JSON.stringify(input) === JSON.stringify(this.started.input) ? [] : undefined;
  }

  private begins(event: Event, end: string, id: string): Event[] | undefined {
    const key = keyOf(end, id, event);
    if (this.open.has(key)) {
      return [];
    }
    if (this.repeats.length) {
      return undefined;
    }
    const owner = event[OWNER];
    this.open.set(key, { type: end, [id]: event[id], ...(owner !== undefined && { [OWNER]: owner }) } as unknown as Event);
    return [event];
  }

  private continues(event: Event, type: string): Event[] | undefined {
    // The gateway does not repeat what it sent: it may be newer than it was.
    if (this.repeats.length) {
      return undefined;
    }
    const id = IDS.get(type);
    if (id !== undefined) {
      this.open.delete(keyOf(type, id, event));
    }
    return [event];
  }

  /** The ends of what is open, the last one first: of all, or of some of it. */
  private closed(some: (end: Event) => boolean = () => true): Event[] {
    const ends = [...this.open].filter(([, end]) => some(end)).reverse();
    ends.forEach(([key]) => this.open.delete(key));
    return ends.map(([, end]) => end);
  }

  private finishes(event: Event): Event[] {
    this.ended = true;
    // The gateway names a run that a connection joins in the middle by another id.
    const { threadId, runId } = this.started ?? event;
    return [...this.closed(), { ...event, threadId, runId } as Event];
  }
}

/** The key of what an event begins or ends. Two subagents may be in steps of one name. */
function keyOf(end: string, id: string, event: Event): string {
  const owner = end === 'STEP_FINISHED' ? event[OWNER] : undefined;
  return JSON.stringify([end, event[id], owner]);
}
