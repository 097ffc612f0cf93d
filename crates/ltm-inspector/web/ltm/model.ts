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
}

/** What a pane can have the page do. */
export interface Acts {
  /** Goes to a snapshot; null: to the latest one. */
  pick(index: number | null): void;
  /** Shows the value at a JSON Pointer in the state. */
  reveal(pointer: string): void;
}
