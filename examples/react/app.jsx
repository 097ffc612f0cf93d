import { memo, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { useLtm } from 'ltm-live/react';

// React renders it once: a snapshot that did not change is the same object in each view.
const Snapshot = memo(function Snapshot({ snapshot }) {
  return <li title={snapshot.time}>{snapshot.reason}</li>;
});

function Ltm({ url, id }) {
  const { name, status, error, state, snapshots } = useLtm(url, id);
  return (
    <>
      <h1>
        {name} <small role="status">{status}</small>
      </h1>
      {error && <p role="alert">{error.detail}</p>}
      <ol start="0">
        {snapshots.map((snapshot, index) => (
          <Snapshot key={index} snapshot={snapshot} />
        ))}
      </ol>
      <pre id="state">{JSON.stringify(state, null, 2)}</pre>
    </>
  );
}

const query = new URLSearchParams(location.search);
createRoot(document.getElementById('root')).render(
  <StrictMode>
    <Ltm url={`http://${query.get('server') ?? 'localhost:8000'}`} id={query.get('ltm') ?? '1'} />
  </StrictMode>,
);
