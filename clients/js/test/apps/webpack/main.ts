import { followList, followLtm, type ListView, type View } from 'ltm-live';
import { asked, type Agent } from '../agent';

const { url, id } = asked();
const ltm = followLtm<Agent>(url, id);
const list = followList(url, { limit: 20 });

function show({ status, state }: View<Agent>, { rows }: ListView): void {
  const text = state ? `${status} ${state.todo.join()} ${state.n} of ${rows?.length}` : 'nothing yet';
  document.getElementById('app')!.textContent = text;
}

ltm.subscribe((view) => show(view, list.view));
list.subscribe((view) => show(ltm.view, view));
