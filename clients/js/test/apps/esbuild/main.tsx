import { useLtms, useLtmList } from 'ltm-live/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { asked, type Agent } from '../agent';

const { url, id } = asked();

function App() {
  const [ltm] = useLtms<Agent>(url, [id]);
  const { rows } = useLtmList(url, { limit: 20 });
  if (!ltm?.state) return <p>nothing yet</p>;
  return (
    <p>
      {ltm.status} {ltm.state.todo.join()} {ltm.state.n} of {rows?.length}
    </p>
  );
}

createRoot(document.getElementById('app')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
