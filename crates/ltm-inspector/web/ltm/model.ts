// What the panes of an LTM show.

import type { JsonObject, Snapshot, View } from 'ltm-live';
import type { Queues } from '../data/steps.js';

/** One view of an LTM, at the chosen snapshot. Each change makes another one. */
export interface Model {
  view: Extract<View<JsonObject>, { state: JsonObject }>;
  /** The index of the first snapshot that there is: retention may have removed earlier ones. */
  first: number;
  last: number;
  /** The chosen snapshot: `view.snapshots[index - first]`. */
  index: number;
  snapshot: Snapshot | undefined;
  /** Which step queued an item, and which one took it. */
  queues: Queues;
  /** Whether the page follows new snapshots. */
  live: boolean;
  /** The state after the chosen snapshot, and before it. Equal parts are the same objects. */
  state: JsonObject;
  before: JsonObject;
  /** The state after another snapshot; undefined if folding it takes longer than a frame: ask again in the next one. */
  stateAt(index: number): JsonObject | undefined;
  /** What the chosen snapshot is compared with, as in the URL: `@5`, `43`, `43@5`; null: with the snapshot before it. */
  compared: string | null;
  /** The pointer of the conversation that the user chose, as in the URL; null: the longest one. */
  conversation: string | null;
}

/** What a pane can have the page do. */
export interface Acts {
  /** Goes to a snapshot; null: to the latest one. */
  pick(index: number | null): void;
  /** Shows the value at a JSON Pointer in the state. */
  reveal(pointer: string): void;
  /** Chooses what to compare with: `compared` of the model. */
  compare(other: string | null): void;
  /** Chooses a conversation by its pointer: `conversation` of the model. */
  converse(pointer: string): void;
  /** Draws the open pane once more, in a frame of its own. */
  drawMore(): void;
}
