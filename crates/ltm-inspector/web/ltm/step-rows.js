// The rows of the timeline: a step each, or a run of equal steps; without the steps that a filter leaves out.

import { titleOf } from '../data/steps.js';
import { moment } from '../data/time.js';

/** So many equal steps in a row become one row. */
const RUN = 4;

/** Finds runs of steps with the same reason and title. Reads only what is new, if the history only grew. */
export class Runs {
  #snapshots = [];
  /** `{ from, to, title, reason }` by place, without gaps. */
  #runs = [];

  update(snapshots) {
    const old = this.#snapshots;
    const grew = old.length <= snapshots.length && (old.length === 0 || old.at(-1) === snapshots[old.length - 1]);
    if (!grew) this.#runs = [];
    for (let place = grew ? old.length : 0; place < snapshots.length; place += 1) this.#add(snapshots[place], place);
    this.#snapshots = snapshots;
  }

  #add(snapshot, place) {
    const title = titleOf(snapshot);
    const last = this.#runs.at(-1);
    if (last && last.title === title && last.reason === snapshot.reason) last.to = place;
    else this.#runs.push({ from: place, to: place, title, reason: snapshot.reason });
  }

  /**
   * The rows: `{ from, to }`, by place. Runs whose first place is in `open` are single steps. `keeps(place)` says which steps there
   * are; without it, all.
   */
  rows(open, keeps) {
    const rows = [];
    for (const { from: run, to: end } of this.#runs) {
      const places = keeps ? placesIn(run, end, keeps) : null;
      const count = places?.length ?? end - run + 1;
      if (count === 0) continue;
      const [from, to] = places ? [places[0], places.at(-1)] : [run, end];
      if (count >= RUN && !open.has(run)) rows.push({ from, to, run, count });
      else for (let nth = 0; nth < count; nth += 1) rows.push(single(places ? places[nth] : run + nth, run));
    }
    return rows;
  }
}

function single(place, run) {
  return { from: place, to: place, run, count: 1 };
}

function placesIn(from, to, keeps) {
  const places = [];
  for (let place = from; place <= to; place += 1) if (keeps(place)) places.push(place);
  return places;
}

/** What was found for a list of errors, and in which history. */
const found = new WeakMap();

/** The places of the steps at which errors happened: `bad`, or `recovered` if each was overcome. */
export function errorPlaces(errors, snapshots) {
  return foundIn(errors, snapshots).places;
}

/** The last error, not overcome, that happened at this place or before it; undefined if there is none. */
export function failureAt(errors, snapshots, place) {
  const { all } = foundIn(errors, snapshots);
  return errors.findLast((error, nth) => !error.success && all[nth] <= place);
}

/** Looks anew if an error or a rollback came. */
function foundIn(errors, snapshots) {
  const known = found.get(errors);
  if (known && known.count <= snapshots.length && (known.count === 0 || snapshots[known.count - 1] === known.last)) return known;
  const all = errors.map((error) => placeOf(error, snapshots));
  const now = { all, places: placesOf(errors, all), count: snapshots.length, last: snapshots.at(-1) };
  found.set(errors, now);
  return now;
}

function placesOf(errors, all) {
  const places = new Map();
  errors.forEach(({ success }, nth) => {
    const place = all[nth];
    if (place >= 0 && places.get(place) !== 'bad') places.set(place, success ? 'recovered' : 'bad');
  });
  return places;
}

/** The step of an error: the one that took its item, or else the last one before it that executed the same, or else the last before it. */
export function placeOf({ item, created_at: createdAt }, snapshots) {
  const id = item?.item_id;
  const taken = id === undefined ? -1 : snapshots.findLastIndex((it) => it.item?.item_id === id);
  if (taken >= 0) return taken;
  const at = moment(createdAt);
  const before = (it) => !(moment(it.time) > at);
  const same = item?.fqn === undefined ? -1 : snapshots.findLastIndex((it) => it.item?.fqn === item.fqn && before(it));
  return same >= 0 ? same : snapshots.findLastIndex(before);
}
