import { useLtm, useLtmList } from 'ltm-live/vue';
import { createApp, defineComponent, h } from 'vue';
import { asked, type Agent } from '../agent';

const { url, id } = asked();
const App = defineComponent(() => {
  const ltm = useLtm<Agent>(url, id);
  const list = useLtmList(url, { limit: 20 });
  return () => {
    const { status, state } = ltm.value;
    return h('p', `${status} ${state ? state.todo.join() : 'nothing yet'} ${state?.n} of ${list.value.rows?.length}`);
  };
});
createApp(App).mount('#app');
